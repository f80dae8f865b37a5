// Pairs of a Python iterator into tables of bytes, and from there to files. The lock is held but while
// writing.
//
// No object of a pair outlives its turn, but combiners: keys and values are copied, as items, into logs of
// bytes. The user's functions are called from here; what they raise goes through.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bind.h"
#include "esker/error.h"
#include "esker/hash/row_hash.h"
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
using objects::EntryWriter;
using objects::Reader;

// A run's entries are counted in 32 bits; tables are written before they hold so much.
constexpr std::uint64_t kTableBytesMax = std::uint64_t{2} << 30;
constexpr std::uint32_t kNoKey = UINT32_MAX;

std::uint32_t remainder(std::int64_t hash, std::uint32_t count) {
  const std::int64_t rest = hash % static_cast<std::int64_t>(count);
  return static_cast<std::uint32_t>(rest < 0 ? rest + count : rest);
}

// Items of a block, read from where the last call stopped.
class ItemReader {
 public:
  ItemReader(nb::object buffer, nb::object load)
      : buffer_(std::move(buffer)),
        borrowed_(buffer_),
        codec_({nb::none(), nb::none(), std::move(load)}),
        reader_(after_mark(borrowed_.bytes())) {}

  // A new reference, or null at the end.
  PyObject* next() { return reader_.done() ? nullptr : codec_.decode(reader_).release().ptr(); }

 private:
  static Bytes after_mark(Bytes block) {
    if (block.empty() || block[0] != objects::kItemsBlock)
      throw ObjectsCorrupt("this is no block of stored objects");
    return block.subspan(1);
  }

  nb::object buffer_;
  BorrowedBytes borrowed_;
  ObjectCodec codec_;
  Reader reader_;
};

// Weaves sections of placed keys, each in order of its places, into one order.
class Weave {
 public:
  explicit Weave(const nb::list& readers) {
    for (const nb::handle reader : readers) {
      kept_.append(reader);
      push(nb::cast<PairReader*>(reader));
    }
  }

  nb::object take(std::uint32_t count) {
    ListMaker pairs;
    for (std::size_t bytes = 0; count > 0 && bytes < kBatchBytes && !heads_.empty(); --count) {
      std::pop_heap(heads_.begin(), heads_.end(), later);
      const Head head = heads_.back();
      heads_.pop_back();
      const ObjectCodec& codec = head.reader->codec();
      bytes += head.reader->value().size();
      nb::object key = codec.decode(head.key);
      pairs.add(std::move(key), codec.decode(head.reader->value()));
      push(head.reader);
    }
    return pairs.list();
  }

 private:
  struct Head {
    std::uint64_t place;
    Bytes key;
    PairReader* reader;
  };
  static bool later(const Head& left, const Head& right) { return left.place > right.place; }

  void push(PairReader* reader) {
    if (!reader->next()) return;
    Bytes key = reader->key();
    const std::uint64_t place = split_place(key);
    heads_.push_back({place, key, reader});
    std::push_heap(heads_.begin(), heads_.end(), later);
  }

  nb::list kept_;
  std::vector<Head> heads_;
};

nb::bytes encode_items(nb::handle items, nb::object dump) {
  const ObjectCodec codec({nb::none(), std::move(dump), nb::none()});
  Buffer out;
  out.put(objects::kItemsBlock);
  for (const nb::handle item : items) codec.encode(item.ptr(), out);
  return nb::bytes(out.bytes().data(), out.bytes().size());
}

std::int64_t stable_hash(nb::handle key, nb::object plain) {
  ObjectCodec codec({std::move(plain), nb::none(), nb::none()});
  return objects::stable_hash(codec.canonical(key.ptr()));
}

// Of a tuple, without a call where the headers allow.
#ifdef Py_LIMITED_API
Py_ssize_t size_of(PyObject* tuple) {
  return PyTuple_Size(tuple);
}
PyObject* part_of(PyObject* tuple, Py_ssize_t place) {
  return PyTuple_GetItem(tuple, place);
}
#else
Py_ssize_t size_of(PyObject* tuple) {
  return PyTuple_GET_SIZE(tuple);
}
PyObject* part_of(PyObject* tuple, Py_ssize_t place) {
  return PyTuple_GET_ITEM(tuple, place);
}
#endif

// What all tables share: the codec, the partition of a key, and driving an iterator of pairs.
class Table {
 public:
  Table(std::uint32_t partition_count, std::uint64_t memory_bytes, Callbacks callbacks, nb::object pair,
        std::optional<nb::object> partition)
      : codec_(std::move(callbacks)),
        pair_(std::move(pair)),
        partition_(std::move(partition)),
        partition_count_(partition_count),
        memory_bytes_(std::min(memory_bytes, kTableBytesMax)) {}

  // Whether what was raised last came of the iterator, and not of a function of the table's.
  bool source_failed() const { return source_failed_; }

 protected:
  // Adds pairs until the iterator ends (true), or `add` says that the table is full or `limit` pairs are in.
  template <class Add>
  bool drive(nb::handle iterator, std::uint64_t limit, Add add) {
    const auto next = reinterpret_cast<iternextfunc>(PyType_GetSlot(Py_TYPE(iterator.ptr()), Py_tp_iternext));
    if (next == nullptr) throw nb::type_error("pairs come from an iterator");
    for (std::uint64_t taken = 0; taken < limit; ++taken) {
      look_for_signals(taken);
      nb::object item = nb::steal(next(iterator.ptr()));
      if (!item.is_valid()) {
        // The end is told by StopIteration, or by nothing.
        if (PyErr_Occurred() == nullptr) return true;
        if (!PyErr_ExceptionMatches(PyExc_StopIteration)) {
          source_failed_ = true;
          throw nb::python_error();
        }
        PyErr_Clear();
        return true;
      }
      if (Py_TYPE(item.ptr()) != &PyTuple_Type || size_of(item.ptr()) != 2) item = call(pair_, item.ptr());
      if (add(part_of(item.ptr(), 0), part_of(item.ptr(), 1))) return false;
    }
    return false;
  }

  std::uint32_t partition_of(std::int64_t hash, Bytes original) const {
    if (!partition_) return remainder(hash, partition_count_);
    return partition_of(codec_.decode(original).ptr());
  }

  // Of a key that is at hand in both forms.
  std::uint32_t partition_of(PyObject* key, Bytes canonical) const {
    return partition_ ? partition_of(key) : remainder(objects::stable_hash(canonical), partition_count_);
  }

  std::uint32_t partition_of(PyObject* key) const {
    const nb::object number = call(*partition_, key);
    const auto partition = nb::cast<std::int64_t>(number);
    if (partition < 0 || partition >= partition_count_) {
      throw InvalidInput("a partitioner gave " + std::to_string(partition) + "; there are " +
                         std::to_string(partition_count_) + " partitions");
    }
    return static_cast<std::uint32_t>(partition);
  }

  ObjectCodec codec_;
  nb::object pair_;
  std::optional<nb::object> partition_;
  std::uint32_t partition_count_;
  std::uint64_t memory_bytes_;
  bool source_failed_ = false;
};

// The values of each key, as one log of items.
class GroupTable : public Table {
 public:
  using Table::Table;

  bool take(nb::handle iterator) {
    return drive(iterator, UINT64_MAX, [this](PyObject* key, PyObject* value) {
      value_.clear();
      codec_.encode(value, value_);
      return add(codec_.encode_key(key), value_.bytes());
    });
  }

  // Pairs that lie as items: values are copied as they are.
  bool take_items(PairReader& pairs) {
    while (pairs.next()) {
      if (add(codec_.encode_key(pairs.key()), pairs.value())) return false;
    }
    return true;
  }

  Written write(int fd) {
    std::vector<std::uint32_t> partitions(keys_.size());
    for (std::uint32_t i = 0; i < keys_.size(); ++i) {
      partitions[i] = partition_of(keys_[i].hash, keys_[i].original_form());
    }
    Written written;
    try {
      const nb::gil_scoped_release released;
      written = write_sorted(fd, by_partition(partitions, partition_count_));
    } catch (const SpillFailed& error) {
      raise_os_error(error);
    }
    clear();
    return written;
  }

  std::uint32_t size() const { return keys_.size(); }

 private:
  bool add(EncodedKey key, Bytes value) {
    const auto found = keys_.find_or_add(pool_, key.canonical, key.original);
    if (found.is_new) logs_.emplace_back();
    logs_[found.number].append(pool_, value);
    return pool_.held_bytes() + keys_.held_bytes() + logs_.capacity() * sizeof(ByteLog) >= memory_bytes_;
  }

  Written write_sorted(int fd, const ByPartition& sorted) const {
    EntryWriter writer(fd);
    Written written{{0}, std::vector<std::uint64_t>(partition_count_)};
    for (std::uint32_t p = 0; p < partition_count_; ++p) {
      for (std::uint32_t i = sorted.begins[p]; i < sorted.begins[p + 1]; ++i) {
        const objects::Key& key = keys_[sorted.numbers[i]];
        const ByteLog& log = logs_[sorted.numbers[i]];
        writer.begin(key.original_bytes, log.items(), log.size());
        writer.begin_block();
        writer.put(key.original_form());
        writer.begin_block();
        log.visit([&writer](Bytes piece) { writer.put(piece); });
        written.second[p] += log.items();
      }
      written.first.push_back(writer.written());
    }
    writer.flush();
    return written;
  }

  void clear() {
    logs_ = decltype(logs_)();
    keys_.clear();
    pool_.clear();
  }

  objects::BlockPool pool_;
  objects::KeyMap keys_;
  std::vector<ByteLog> logs_;
  Buffer value_;
};

// Pairs in their order, keys and values of each partition apart.
class RecordTable : public Table {
 public:
  RecordTable(std::uint32_t partition_count, std::uint64_t memory_bytes, Callbacks callbacks, nb::object pair,
              std::optional<nb::object> partition)
      : Table(partition_count, memory_bytes, std::move(callbacks), std::move(pair), std::move(partition)),
        keys_(partition_count),
        values_(partition_count) {}

  bool take(nb::handle iterator) {
    return drive(iterator, UINT64_MAX, [this](PyObject* key, PyObject* value) {
      const EncodedKey encoded = codec_.encode_key(key);
      const std::uint32_t partition = partition_of(key, encoded.canonical);
      keys_[partition].append(pool_, encoded.original);
      value_.clear();
      codec_.encode(value, value_);
      values_[partition].append(pool_, value_.bytes());
      ++size_;
      return pool_.held_bytes() >= memory_bytes_;
    });
  }

  std::uint64_t size() const { return size_; }

  Written write(int fd) {
    Written written{{0}, {}};
    try {
      const nb::gil_scoped_release released;
      EntryWriter writer(fd);
      for (std::uint32_t p = 0; p < partition_count_; ++p) {
        write_partition(writer, keys_[p], values_[p]);
        written.first.push_back(writer.written());
        written.second.push_back(keys_[p].items());
      }
      writer.flush();
    } catch (const SpillFailed& error) {
      raise_os_error(error);
    }
    keys_.assign(partition_count_, {});
    values_.assign(partition_count_, {});
    pool_.clear();
    size_ = 0;
    return written;
  }

 private:
  static void write_partition(EntryWriter& writer, const ByteLog& keys, const ByteLog& values) {
    if (keys.items() == 0) return;
    writer.begin(keys.size(), keys.items(), values.size());
    writer.begin_block();
    keys.visit([&writer](Bytes piece) { writer.put(piece); });
    writer.begin_block();
    values.visit([&writer](Bytes piece) { writer.put(piece); });
  }

  objects::BlockPool pool_;
  std::vector<ByteLog> keys_;
  std::vector<ByteLog> values_;
  Buffer value_;
  std::uint64_t size_ = 0;
};

// What a key's values came to so far. `weight` is about what it takes in memory; a state of level n stands
// for 2^n values of a balanced combination.
struct State {
  nb::object value;
  std::uint32_t weight = 0;
  std::uint32_t level = 0;
};

// A key's states, the last on top. The first is held in place: most keys have one.
class Entry {
 public:
  explicit Entry(std::uint64_t place) : place_(place) {}

  std::uint64_t place() const { return place_; }
  bool empty() const { return !first_.value.is_valid(); }
  State& top() { return more_.empty() ? first_ : more_.back(); }
  void push(State state) {
    if (empty()) {
      first_ = std::move(state);
    } else {
      more_.push_back(std::move(state));
    }
  }
  nb::object pop() {
    nb::object value = std::move(top().value);
    if (!more_.empty()) more_.pop_back();
    return value;
  }
  template <class Visit>
  void visit(Visit visit) const {
    if (!empty()) visit(first_);
    for (const State& state : more_) visit(state);
  }

 private:
  State first_;
  std::vector<State> more_;
  std::uint64_t place_;
};

// The combiner of each key.
//
// A balanced combination keeps a stack of partial results of falling level, and merges two as soon as they
// have the same: each value takes part in log n merges, and their order is kept.
class CombineTable : public Table {
 public:
  CombineTable(std::uint32_t partition_count, std::uint64_t memory_bytes, Callbacks callbacks,
               nb::object pair, std::optional<nb::object> partition, nb::object create,
               nb::object merge_value, nb::object merge_combiners, nb::object weigh, bool balanced)
      : Table(partition_count, memory_bytes, std::move(callbacks), std::move(pair), std::move(partition)),
        create_(std::move(create)),
        merge_value_(std::move(merge_value)),
        merge_combiners_(std::move(merge_combiners)),
        weigh_(std::move(weigh)),
        balanced_(balanced) {}

  // True when the iterator ended.
  bool take(nb::handle iterator, std::optional<std::uint64_t> limit) {
    return drive(iterator, limit.value_or(UINT64_MAX), [this](PyObject* key, PyObject* value) {
      ++taken_;
      current_ = kNoKey;
      add_value(codec_.encode_key(key), value, place_++);
      return full();
    });
  }

  // Pairs taken from iterators so far.
  std::uint64_t taken() const { return taken_; }

  // Pairs that lie as items, until they end (true) or the table is full. `states`: they are combiners.
  bool take_items(PairReader& pairs, bool states) {
    while (pairs.next()) {
      take_item(pairs, pairs.key(), place_++, states);
      if (full()) return false;
    }
    return true;
  }

  // The same of combiners that `divide` wrote.
  bool take_placed(PairReader& pairs) {
    while (pairs.next()) {
      Bytes key = pairs.key();
      const std::uint64_t place = split_place(key);
      take_item(pairs, key, place, true);
      if (full()) return false;
    }
    return true;
  }

  // Writes keys with their combiners as batches of pairs, and is empty.
  Written write(int fd) {
    std::vector<std::uint32_t> partitions(keys_.size());
    for (std::uint32_t i = 0; i < keys_.size(); ++i) {
      current_ = i;
      partitions[i] = partition_of(keys_[i].hash, keys_[i].original_form());
    }
    return write_parts(fd, by_partition(partitions, partition_count_), false);
  }

  // The same in so many parts by another hash than that of the partitions, each key with its place.
  Written divide(int fd, std::uint32_t parts, std::uint32_t depth) {
    return write_parts(fd, by_other_hash(keys_, parts, depth), true);
  }

  // Up to `count` keys with their combiners, in order. Nothing may be added until all were taken.
  nb::object drain(std::uint32_t count) {
    ListMaker drained;
    for (; count > 0 && drained_ < keys_.size(); --count, ++drained_) {
      current_ = drained_;
      nb::object key = codec_.decode(keys_[drained_].original_form());
      drained.add(std::move(key), collapse(entries_[drained_]));
    }
    if (drained_ == keys_.size()) clear();
    return drained.list();
  }

  std::uint32_t size() const { return keys_.size(); }

  // Whether it has taken its bytes. Estimates that say so are looked at again.
  bool full() {
    const std::uint64_t tables =
        pool_.held_bytes() + keys_.held_bytes() + entries_.capacity() * sizeof(Entry);
    if (tables + weight_ < memory_bytes_) return false;
    if (!estimated_) return true;
    weight_ = weigh_again();
    return tables + weight_ > memory_bytes_ / 4 * 3;
  }

  // The key whose values a function was called with last, or nothing; for who tells that it failed.
  std::optional<nb::object> current_key() const {
    if (current_ >= keys_.size()) return std::nullopt;
    return nb::make_tuple(codec_.decode(keys_[current_].original_form()));
  }

  nb::object largest_key() const {
    std::uint32_t largest = 0;
    std::uint64_t most = 0;
    for (std::uint32_t i = 0; i < keys_.size(); ++i) {
      std::uint64_t weight = 0;
      entries_[i].visit([&weight](const State& state) { weight += state.weight; });
      if (weight > most) {
        most = weight;
        largest = i;
      }
    }
    return codec_.decode(keys_[largest].original_form());
  }

 private:
  void take_item(PairReader& pairs, Bytes original, std::uint64_t place, bool states) {
    current_ = kNoKey;
    const EncodedKey key = codec_.encode_key(original);
    nb::object value = codec_.decode(pairs.value());
    if (states) {
      add_state(key, std::move(value), place);
    } else {
      add_value(key, value.ptr(), place);
    }
  }

  void add_value(EncodedKey key, PyObject* value, std::uint64_t place) {
    const auto found = keys_.find_or_add(pool_, key.canonical, key.original);
    current_ = found.number;
    if (found.is_new) {
      insert_new(place);
      add_first(found.number, balanced_ ? nb::borrow(value) : call(create_, value));
    } else if (balanced_) {
      push(entries_[found.number], nb::borrow(value));
    } else {
      merge_last(entries_[found.number], merge_value_, value);
    }
  }

  void add_state(EncodedKey key, nb::object state, std::uint64_t place) {
    const auto found = keys_.find_or_add(pool_, key.canonical, key.original);
    current_ = found.number;
    if (found.is_new) {
      insert_new(place);
      add_first(found.number, std::move(state));
    } else if (balanced_) {
      push(entries_[found.number], std::move(state));
    } else {
      merge_last(entries_[found.number], merge_combiners_, state.ptr());
    }
  }

  // Before the user's function is called: when it raises, keys and entries still agree.
  void insert_new(std::uint64_t place) { entries_.emplace_back(place); }

  void add_first(std::uint32_t number, nb::object value) {
    const std::uint32_t weight = weigh(value.ptr());
    weight_ += weight;
    entries_[number].push({std::move(value), weight, 0});
  }

  void push(Entry& entry, nb::object value) {
    std::uint32_t level = 0;
    for (; !entry.empty() && entry.top().level == level; ++level) {
      value = call(merge_combiners_, entry.top().value.ptr(), value.ptr());
      weight_ -= entry.top().weight;
      entry.pop();
    }
    const std::uint32_t weight = weigh(value.ptr());
    weight_ += weight;
    entry.push({std::move(value), weight, level});
  }

  void merge_last(Entry& entry, const nb::object& function, PyObject* value) {
    State& state = entry.top();
    const std::uint32_t growth = 8 + weigh(value);
    state.value = call(function, state.value.ptr(), value);
    std::uint32_t weight = 0;
    if (!weigh_atom(state.value.ptr(), weight)) {
      // What a value adds to a list, a dict or an object of the user's is taken to be what it weighs.
      weight = state.weight + std::min(growth, UINT32_MAX - state.weight);
      estimated_ = true;
    }
    weight_ += weight;
    weight_ -= state.weight;
    state.weight = weight;
  }

  nb::object collapse(Entry& entry) {
    nb::object value = entry.pop();
    while (!entry.empty()) {
      const nb::object left = entry.pop();
      value = call(merge_combiners_, left.ptr(), value.ptr());
    }
    return value;
  }

  static std::uint32_t sized(Py_ssize_t size) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(static_cast<std::uint64_t>(size), UINT32_MAX));
  }

  static bool weigh_atom(PyObject* object, std::uint32_t& weight) {
    PyTypeObject* type = Py_TYPE(object);
    if (type == &PyLong_Type || type == &PyFloat_Type) {
      weight = 32;
    } else if (type == &PyUnicode_Type) {
      weight = sized(56 + PyUnicode_GetLength(object));
    } else if (type == &PyBytes_Type) {
      weight = sized(40 + PyBytes_Size(object));
    } else if (type == &PyBool_Type || object == Py_None) {
      weight = 0;
    } else if (type == &PyTuple_Type && PyTuple_Size(object) <= 8) {
      weight = 56;
      for (Py_ssize_t i = 0; i < PyTuple_Size(object); ++i) {
        PyObject* part = PyTuple_GetItem(object, i);
        std::uint32_t part_weight = 0;
        if (Py_TYPE(part) == &PyTuple_Type || !weigh_atom(part, part_weight)) return false;
        weight += std::min(8 + part_weight, UINT32_MAX - weight);
      }
    } else {
      return false;
    }
    return true;
  }

  std::uint32_t weigh(PyObject* object) {
    std::uint32_t weight = 0;
    if (weigh_atom(object, weight)) return weight;
    estimated_ = true;
    // Weighing means pickling: one in sixteen, the others are taken to be like it.
    if (weighed_++ % 16 == 0) last_weight_ = exact_weight(object);
    return last_weight_;
  }

  std::uint32_t exact_weight(PyObject* object) const {
    return sized(std::max<Py_ssize_t>(nb::cast<Py_ssize_t>(call(weigh_, object)), 0));
  }

  std::uint64_t weigh_again() const {
    const std::size_t step = std::max<std::size_t>(entries_.size() / 256, 1);
    std::uint64_t looked_at = 0;
    std::uint64_t weight = 0;
    for (std::size_t i = 0; i < entries_.size(); i += step, ++looked_at) {
      entries_[i].visit([&weight, this](const State& state) {
        std::uint32_t one = 0;
        weight += weigh_atom(state.value.ptr(), one) ? one : exact_weight(state.value.ptr());
      });
    }
    return looked_at == 0 ? 0 : weight * entries_.size() / looked_at;
  }

  Written write_parts(int fd, const ByPartition& sorted, bool placed) {
    Written written;
    try {
      written = write_pairs(fd, sorted, [this, placed](std::uint32_t number, Buffer& keys, Buffer& values) {
        current_ = number;
        const Bytes key = keys_[number].original_form();
        if (placed) {
          put_placed(keys, entries_[number].place(), key);
        } else {
          keys.put(key.data(), key.size());
        }
        codec_.encode(collapse(entries_[number]).ptr(), values);
      });
    } catch (const SpillFailed& error) {
      raise_os_error(error);
    }
    clear();
    return written;
  }

  void clear() {
    entries_ = decltype(entries_)();
    keys_.clear();
    pool_.clear();
    weight_ = 0;
    drained_ = 0;
    estimated_ = false;
  }

  nb::object create_;
  nb::object merge_value_;
  nb::object merge_combiners_;
  nb::object weigh_;
  bool balanced_;

  objects::BlockPool pool_;
  objects::KeyMap keys_;
  std::vector<Entry> entries_;
  std::uint64_t place_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t weight_ = 0;
  std::uint64_t weighed_ = 0;
  std::uint32_t last_weight_ = 64;
  std::uint32_t drained_ = 0;
  std::uint32_t current_ = kNoKey;
  bool estimated_ = false;
};

// A table that keeps every value of a key.
template <class Values>
nb::class_<Values> bind_kept_values(nb::module_& module, const char* name) {
  nb::class_<Values> bound(module, name);
  bound
      .def(
          "__init__",
          [](Values* table, std::uint32_t partition_count, std::uint64_t memory_bytes, nb::object plain,
             nb::object dump, nb::object load, nb::object pair, std::optional<nb::object> partition) {
            new (table)
                Values(partition_count, memory_bytes, {std::move(plain), std::move(dump), std::move(load)},
                       std::move(pair), std::move(partition));
          },
          nb::arg("partition_count"), nb::arg("memory_bytes"), nb::arg("plain"), nb::arg("dump"),
          nb::arg("load"), nb::arg("pair"), nb::arg("partition").none())
      .def("__len__", &Values::size)
      .def("take", &Values::take, nb::arg("iterator"))
      .def_prop_ro("source_failed", &Values::source_failed)
      .def("write", &Values::write, nb::arg("fd"));
  return bound;
}

void bind_combine_table(nb::module_& module) {
  nb::class_<CombineTable>(module, "CombineTable")
      .def(
          "__init__",
          [](CombineTable* table, std::uint32_t partition_count, std::uint64_t memory_bytes, nb::object plain,
             nb::object dump, nb::object load, nb::object pair, std::optional<nb::object> partition,
             nb::object create, nb::object merge_value, nb::object merge_combiners, nb::object weigh,
             bool balanced) {
            new (table) CombineTable(partition_count, memory_bytes,
                                     {std::move(plain), std::move(dump), std::move(load)}, std::move(pair),
                                     std::move(partition), std::move(create), std::move(merge_value),
                                     std::move(merge_combiners), std::move(weigh), balanced);
          },
          nb::arg("partition_count"), nb::arg("memory_bytes"), nb::arg("plain"), nb::arg("dump"),
          nb::arg("load"), nb::arg("pair"), nb::arg("partition").none(), nb::arg("create"),
          nb::arg("merge_value"), nb::arg("merge_combiners"), nb::arg("weigh"), nb::arg("balanced"))
      .def("__len__", &CombineTable::size)
      .def_prop_ro("taken", &CombineTable::taken)
      .def("take", &CombineTable::take, nb::arg("iterator"), nb::arg("limit").none() = nb::none())
      .def("take_items", &CombineTable::take_items, nb::arg("pairs"), nb::kw_only(), nb::arg("states"))
      .def("take_placed", &CombineTable::take_placed, nb::arg("pairs"))
      .def("write", &CombineTable::write, nb::arg("fd"))
      .def("divide", &CombineTable::divide, nb::arg("fd"), nb::arg("parts"), nb::arg("depth"))
      .def("drain", &CombineTable::drain, nb::arg("count"))
      .def("full", &CombineTable::full)
      .def_prop_ro("source_failed", &CombineTable::source_failed)
      .def_prop_ro("current_key", &CombineTable::current_key)
      .def("largest_key", &CombineTable::largest_key);
}

}  // namespace

void bind_collect(nb::module_& module) {
  nb::class_<ItemReader>(module, "ItemReader", nb::type_slots(iterator_slots<ItemReader>))
      .def(nb::init<nb::object, nb::object>(), nb::arg("block"), nb::arg("load"));
  nb::class_<PairReader>(module, "PairReader")
      .def(nb::init<nb::object, bool, nb::object>(), nb::arg("section"), nb::arg("groups"), nb::arg("load"))
      .def("take", &PairReader::take, nb::arg("count"));
  nb::class_<Weave>(module, "Weave")
      .def(nb::init<const nb::list&>(), nb::arg("readers"))
      .def("take", &Weave::take, nb::arg("count"));
  module.def("encode_items", &encode_items, nb::arg("items"), nb::arg("dump"));
  module.def("stable_hash", &stable_hash, nb::arg("key").none(), nb::arg("plain"));

  bind_kept_values<GroupTable>(module, "GroupTable")
      .def("take_items", &GroupTable::take_items, nb::arg("pairs"));
  bind_kept_values<RecordTable>(module, "RecordTable");
  bind_combine_table(module);
}

}  // namespace esker::bind
