// Groups: where the values of each key lie in files is brought together here, and they are read from there.
//
// Of a key only places are held, as items: side, file, begin, size, values. The lock is held throughout.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bind.h"
#include "esker/error.h"
#include "esker/objects/byte_log.h"
#include "esker/objects/entry.h"
#include "esker/objects/key_map.h"
#include "iteration.h"
#include "list_maker.h"
#include "object_codec.h"
#include "pair_reader.h"
#include "run_parts.h"

namespace nb = nanobind;

namespace esker::bind {
namespace {

using objects::Buffer;
using objects::ByteLog;
using objects::Bytes;
using objects::Reader;

// Values of one key that lie together.
struct Part {
  std::uint32_t file;
  std::uint32_t values;
  std::uint64_t begin;
  std::uint64_t size;
};

// The mapped files, by number, and what reads objects from them; all groups of a partition share them.
struct Files {
  Files(nb::list list, nb::object load)
      : mapped(std::move(list)), codec({nb::none(), nb::none(), std::move(load)}) {}

  nb::list mapped;
  ObjectCodec codec;
};

// The values of a key on one side, in input order, read anew each time.
class Group {
 public:
  explicit Group(std::shared_ptr<Files> files) : files_(std::move(files)) {}

  void add(const Part& part) {
    parts_.push_back(part);
    size_ += part.values;
  }
  std::uint64_t size() const { return size_; }
  const Files& files() const { return *files_; }
  const std::vector<Part>& parts() const { return parts_; }

 private:
  std::shared_ptr<Files> files_;
  std::vector<Part> parts_;
  std::uint64_t size_ = 0;
};

// Reads a group, one part after the other.
class GroupReader {
 public:
  explicit GroupReader(nb::object group) : kept_(std::move(group)), group_(nb::inst_ptr<Group>(kept_)) {}

  // A new reference, or null at the end.
  PyObject* next() {
    while (reader_.done()) {
      if (next_part_ == group_->parts().size()) return nullptr;
      open(group_->parts()[next_part_++]);
    }
    return group_->files().codec.decode(reader_).release().ptr();
  }

 private:
  void open(const Part& part) {
    const nb::object mapped = group_->files().mapped[part.file];
    file_ = std::make_unique<BorrowedBytes>(mapped);
    const Bytes file = file_->bytes();
    if (part.begin > file.size() || part.size > file.size() - part.begin || part.size == 0 ||
        file[part.begin] != objects::kItemsBlock) {
      throw ObjectsCorrupt("a group's values are not where they were written");
    }
    reader_ = Reader(file.subspan(part.begin + 1, part.size - 1));
  }

  nb::object kept_;
  const Group* group_;
  std::size_t next_part_ = 0;
  std::unique_ptr<BorrowedBytes> file_;
  Reader reader_{Bytes()};
};

// Makes groups of places, one for each side.
class GroupMaker {
 public:
  // `sides` in a tuple, or without it one group alone.
  GroupMaker(nb::list mapped, nb::object load, std::optional<std::uint32_t> sides)
      : files_(std::make_shared<Files>(std::move(mapped), std::move(load))), sides_(sides) {}

  nb::object make(Bytes places) const {
    std::vector<Group> groups(sides_.value_or(1), Group(files_));
    for (Reader reader(places); !reader.done();) {
      const auto side = static_cast<std::size_t>(reader.next().integer);
      const auto file = static_cast<std::size_t>(reader.next().integer);
      const auto begin = static_cast<std::uint64_t>(reader.next().integer);
      const auto size = static_cast<std::uint64_t>(reader.next().integer);
      const auto values = static_cast<std::uint32_t>(reader.next().integer);
      if (side >= groups.size() || file >= files_->mapped.size())
        throw ObjectsCorrupt("a stored place is damaged");
      groups[side].add({static_cast<std::uint32_t>(file), values, begin, size});
    }
    if (!sides_) return nb::cast(std::move(groups[0]));
    nb::object made = nb::steal(PyTuple_New(static_cast<Py_ssize_t>(groups.size())));
    if (!made.is_valid()) throw nb::python_error();
    for (std::size_t i = 0; i < groups.size(); ++i) {
      PyTuple_SetItem(made.ptr(), static_cast<Py_ssize_t>(i), nb::cast(std::move(groups[i])).release().ptr());
    }
    return made;
  }

  // Of places that `PlaceTable.divide` wrote and somebody read.
  nb::object make_of(nb::bytes places) const {
    return make({static_cast<const std::uint8_t*>(places.data()), places.size()});
  }

 private:
  std::shared_ptr<Files> files_;
  std::optional<std::uint32_t> sides_;
};

// The entries of a section of groups, read from where the last call stopped.
class PlaceReader {
 public:
  // `begin` is where the section begins in its file.
  PlaceReader(nb::object section, std::uint32_t side, std::uint32_t file, std::uint64_t begin)
      : buffer_(std::move(section)),
        borrowed_(buffer_),
        rest_(borrowed_.bytes()),
        side_(side),
        file_(file),
        begin_(begin) {}

  bool next() {
    if (rest_.empty()) return false;
    entry_ = objects::first_entry(rest_);
    rest_ = rest_.subspan(entry_.entry_bytes);
    return true;
  }
  Bytes key() const { return Reader(entry_.keys).skip(); }
  void put_place(Buffer& out) const {
    // With the mark before the values.
    const auto place = static_cast<std::uint64_t>(entry_.values.data() - 1 - borrowed_.bytes().data());
    objects::put_integer(out, side_);
    objects::put_integer(out, file_);
    objects::put_integer(out, static_cast<std::int64_t>(begin_ + place));
    objects::put_integer(out, static_cast<std::int64_t>(entry_.values.size() + 1));
    objects::put_integer(out, entry_.pairs);
  }

 private:
  nb::object buffer_;
  BorrowedBytes borrowed_;
  Bytes rest_;
  std::uint32_t side_;
  std::uint32_t file_;
  std::uint64_t begin_;
  objects::EntryView entry_{};
};

// The places of each key's values; keys by first appearance.
class PlaceTable {
 public:
  PlaceTable(const GroupMaker& maker, std::uint64_t memory_bytes, nb::object plain, nb::object dump,
             nb::object load)
      : maker_(maker),
        codec_({std::move(plain), std::move(dump), std::move(load)}),
        memory_bytes_(memory_bytes) {}

  // True at the end of the section; false when the table is full.
  bool take(PlaceReader& section) {
    for (std::uint64_t taken = 0; section.next(); ++taken) {
      look_for_signals(taken);
      places_.clear();
      section.put_place(places_);
      if (add(section.key(), places_.bytes(), place_++)) return false;
    }
    return true;
  }

  // The same of what `divide` wrote.
  bool take_placed(PairReader& pairs) {
    while (pairs.next()) {
      Bytes key = pairs.key();
      const std::uint64_t place = split_place(key);
      const objects::Item places = Reader(pairs.value()).next();
      if (places.tag != objects::kBytes) throw ObjectsCorrupt("a stored key has no places");
      if (add(key, places.bytes, place)) return false;
    }
    return true;
  }

  // Writes the keys in so many parts, each with the place of its first pair, and is empty.
  Written divide(int fd, std::uint32_t parts, std::uint32_t depth) {
    Written written;
    try {
      const ByPartition sorted = by_other_hash(keys_, parts, depth);
      written = write_pairs(fd, sorted, [this](std::uint32_t number, Buffer& keys, Buffer& values) {
        put_placed(keys, firsts_[number], keys_[number].original_form());
        const ByteLog& log = logs_[number];
        values.put(objects::kBytes);
        values.put_length(log.size());
        log.visit([&values](Bytes piece) { values.put(piece.data(), piece.size()); });
      });
    } catch (const SpillFailed& error) {
      raise_os_error(error);
    }
    clear();
    return written;
  }

  // Up to `count` keys with their groups, in order. Nothing may be added until all were taken.
  nb::object drain(std::uint32_t count) {
    ListMaker drained;
    for (; count > 0 && drained_ < keys_.size(); --count, ++drained_) {
      places_.clear();
      logs_[drained_].visit([this](Bytes piece) { places_.put(piece.data(), piece.size()); });
      nb::object key = codec_.decode(keys_[drained_].original_form());
      drained.add(std::move(key), maker_.make(places_.bytes()));
    }
    if (drained_ == keys_.size()) clear();
    return drained.list();
  }

  std::uint32_t size() const { return keys_.size(); }

  nb::object largest_key() const {
    std::uint32_t largest = 0;
    for (std::uint32_t i = 0; i < keys_.size(); ++i) {
      if (logs_[i].size() > logs_[largest].size()) largest = i;
    }
    return codec_.decode(keys_[largest].original_form());
  }

 private:
  // Says whether the table is full.
  bool add(Bytes original, Bytes places, std::uint64_t first) {
    const EncodedKey key = codec_.encode_key(original);
    const auto found = keys_.find_or_add(pool_, key.canonical, key.original);
    if (found.is_new) {
      logs_.emplace_back();
      firsts_.push_back(first);
    }
    logs_[found.number].append(pool_, places);
    return pool_.held_bytes() + keys_.held_bytes() + logs_.capacity() * sizeof(ByteLog) +
               firsts_.capacity() * sizeof(std::uint64_t) >=
           memory_bytes_;
  }

  void clear() {
    logs_ = decltype(logs_)();
    firsts_ = decltype(firsts_)();
    keys_.clear();
    pool_.clear();
    drained_ = 0;
  }

  GroupMaker maker_;
  ObjectCodec codec_;
  std::uint64_t memory_bytes_;

  objects::BlockPool pool_;
  objects::KeyMap keys_;
  std::vector<ByteLog> logs_;
  std::vector<std::uint64_t> firsts_;
  std::uint64_t place_ = 0;
  std::uint32_t drained_ = 0;
  Buffer places_;
};

// What the interpreter calls itself, without the way through a method: groups are there to be read.

Py_ssize_t size_of_group(PyObject* self) noexcept {
  return static_cast<Py_ssize_t>(nb::inst_ptr<Group>(nb::handle(self))->size());
}

PyObject* read_group(PyObject* self) noexcept {
  return made_or_raised([self] { return nb::cast(GroupReader(nb::borrow(self))).release().ptr(); });
}

PyType_Slot group_slots[] = {{Py_sq_length, reinterpret_cast<void*>(size_of_group)},
                             {Py_tp_iter, reinterpret_cast<void*>(read_group)},
                             {0, nullptr}};

std::string shown(const Group& group) {
  return "<Group of " + std::to_string(group.size()) + " values>";
}

// As a list of its values, wherever it goes.
nb::tuple reduced(nb::handle group) {
  const nb::object list = nb::borrow(reinterpret_cast<PyObject*>(&PyList_Type));
  return nb::make_tuple(list, nb::make_tuple(nb::list(group)));
}

}  // namespace

void bind_groups(nb::module_& module) {
  nb::class_<GroupReader>(module, "GroupReader", nb::type_slots(iterator_slots<GroupReader>));
  nb::class_<Group>(
      module, "Group", nb::type_slots(group_slots),
      "The values of a key, in input order: read from the spill file anew each time it is "
      "iterated.\n\nSo a group may be larger than memory. It has a length, and pickles as a list "
      "of its values.")
      .def("__repr__", &shown)
      .def("__reduce__", &reduced);
  nb::class_<GroupMaker>(module, "GroupMaker")
      .def(nb::init<nb::list, nb::object, std::optional<std::uint32_t>>(), nb::arg("mapped"), nb::arg("load"),
           nb::arg("sides").none())
      .def("make", &GroupMaker::make_of, nb::arg("places"));
  nb::class_<PlaceReader>(module, "PlaceReader")
      .def(nb::init<nb::object, std::uint32_t, std::uint32_t, std::uint64_t>(), nb::arg("section"),
           nb::arg("side"), nb::arg("file"), nb::arg("begin"));
  nb::class_<PlaceTable>(module, "PlaceTable")
      .def(nb::init<const GroupMaker&, std::uint64_t, nb::object, nb::object, nb::object>(), nb::arg("maker"),
           nb::arg("memory_bytes"), nb::arg("plain"), nb::arg("dump"), nb::arg("load"))
      .def("__len__", &PlaceTable::size)
      .def_prop_ro("source_failed", [](const PlaceTable&) { return false; })
      .def("take", &PlaceTable::take, nb::arg("section"))
      .def("take_placed", &PlaceTable::take_placed, nb::arg("pairs"))
      .def("divide", &PlaceTable::divide, nb::arg("fd"), nb::arg("parts"), nb::arg("depth"))
      .def("drain", &PlaceTable::drain, nb::arg("count"))
      .def("largest_key", &PlaceTable::largest_key);
}

}  // namespace esker::bind
