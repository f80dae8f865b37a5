// Vectors are opaque to Python and immutable; rows and bytes cross as arrays, a vector at a time.
//
// Python's Bitmap derives from Vector, so that an operation is one call: results are made as objects of the
// class of their first operand.
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <memory>
#include <optional>
#include <vector>

#include "bind.h"
#include "esker/bitmap/choose.h"
#include "esker/bitmap/codecs.h"
#include "esker/bitmap/column_writer.h"
#include "esker/bitmap/narrowing.h"
#include "esker/bitmap/operations.h"
#include "esker/bitmap/pack.h"
#include "esker/error.h"

namespace nb = nanobind;

namespace esker::bind {
namespace {

using bitmap::Buffer;
using bitmap::Form;
using bitmap::Operation;
using bitmap::Profile;
using bitmap::SlotWords;
using bitmap::Vector;
using bitmap::Wah32ColumnWriter;
using NoGil = nb::gil_scoped_release;

// Less work than this is done before another thread could have run.
constexpr std::size_t kReleaseBytes = 16 << 10;

template <class Item>
using Input = nb::ndarray<const Item, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class Item>
using Output = nb::ndarray<nb::numpy, Item, nb::ndim<1>>;

template <class Item>
std::span<const Item> span_of(const Input<Item>& array) {
  return {array.data(), array.size()};
}

// Gives memory to Python that frees itself.
template <class Holder>
auto hand_over(Holder items) {
  using Item = std::remove_cvref_t<decltype(*items.data())>;
  auto owned = std::make_unique<Holder>(std::move(items));
  const nb::capsule owner(owned.get(), [](void* pointer) noexcept { delete static_cast<Holder*>(pointer); });
  auto* kept = owned.release();
  return Output<Item>(kept->data(), {kept->size()}, owner);
}

Form form_of(std::string_view encoding, std::string_view profile) {
  if (profile.empty()) return Form::fixed(bitmap::Codecs::named(encoding));
  if (profile == "speed") return Form::automatic(Profile::speed);
  if (profile == "balanced") return Form::automatic(Profile::balanced);
  if (profile == "size") return Form::automatic(Profile::size);
  throw std::invalid_argument("no such profile");
}

std::string_view profile_name(Profile profile) {
  switch (profile) {
    case Profile::speed:
      return "speed";
    case Profile::balanced:
      return "balanced";
    case Profile::size:
      return "size";
    default:
      return "";
  }
}

nb::object object_of(nb::handle type, Vector&& vector) {
  nb::object made = nb::inst_alloc(type);
  new (nb::inst_ptr<Vector>(made)) Vector(std::move(vector));
  nb::inst_mark_ready(made);
  return made;
}

// Runs `make` without the interpreter's lock when it is going to take long.
template <class Make>
auto unlocked(std::size_t bytes, Make make) {
  std::optional<NoGil> released;
  if (bytes >= kReleaseBytes) released.emplace();
  return make();
}

nb::object made_from_positions(nb::handle type, const Input<std::uint64_t>& rows, std::uint64_t row_count,
                               std::string_view encoding, std::string_view profile) {
  const Form form = form_of(encoding, profile);
  return object_of(
      type, unlocked(rows.nbytes(), [&] { return bitmap::from_positions(span_of(rows), row_count, form); }));
}

nb::object made_from_runs(nb::handle type, const Input<std::uint64_t>& starts,
                          const Input<std::uint64_t>& stops, std::uint64_t row_count,
                          std::string_view encoding, std::string_view profile) {
  const Form form = form_of(encoding, profile);
  return object_of(type, unlocked(2 * starts.nbytes(), [&] {
                     return bitmap::from_runs(span_of(starts), span_of(stops), row_count, form);
                   }));
}

nb::object made_from_data(nb::handle type, const Input<std::uint8_t>& data, std::uint64_t row_count,
                          std::string_view encoding, std::string_view profile) {
  const bitmap::Encoding stored = bitmap::Codecs::named(encoding);
  const Form form = form_of(encoding, profile);
  return object_of(
      type, unlocked(data.size(), [&] { return bitmap::from_data(span_of(data), row_count, stored, form); }));
}

nb::object encoded(nb::handle_t<Vector> self, std::string_view encoding, std::string_view profile) {
  const Vector& vector = nb::cast<const Vector&>(self);
  const Form form = form_of(encoding, profile);
  return object_of(self.type(),
                   unlocked(vector.data().size(), [&] { return bitmap::encoded(vector, form); }));
}

template <Operation kOperation>
nb::object combined(nb::handle_t<Vector> self, const Vector& other) {
  const Vector& vector = nb::cast<const Vector&>(self);
  return object_of(self.type(), unlocked(vector.data().size() + other.data().size(),
                                         [&] { return bitmap::combine(kOperation, vector, other); }));
}

nb::object inverted(nb::handle_t<Vector> self) {
  const Vector& vector = nb::cast<const Vector&>(self);
  return object_of(self.type(), unlocked(vector.data().size(), [&] { return bitmap::invert(vector); }));
}

// The vectors of a sequence, which keeps them while the call lasts.
class Given {
 public:
  void add(nb::handle sequence) {
    const nb::object fast = nb::steal(PySequence_List(sequence.ptr()));
    if (!fast.is_valid()) nb::raise_python_error();
    lists_.push_back(nb::borrow<nb::list>(fast));
    for (const nb::handle item : lists_.back()) {
      const Vector* vector = nullptr;
      if (!nb::try_cast<const Vector*>(item, vector) || vector == nullptr)
        throw nb::type_error("bitmaps are combined with bitmaps only");
      if (vectors_.empty()) type_ = nb::borrow(item.type());
      bytes_ += vector->data().size();
      vectors_.push_back(vector);
    }
    stops_.push_back(vectors_.size());
  }

  bitmap::Vectors vectors() const { return vectors_; }
  std::vector<bitmap::Vectors> parts() const {
    std::vector<bitmap::Vectors> out;
    std::size_t start = 0;
    for (const std::size_t stop : stops_) {
      out.push_back(vectors().subspan(start, stop - start));
      start = stop;
    }
    return out;
  }
  std::size_t bytes() const { return bytes_; }
  nb::handle type() const { return type_; }

 private:
  std::vector<nb::list> lists_;
  std::vector<const Vector*> vectors_;
  std::vector<std::size_t> stops_;
  std::size_t bytes_ = 0;
  nb::object type_;
};

template <Vector (*kCombine)(bitmap::Vectors)>
nb::object combined_all(nb::handle sequence) {
  Given given;
  given.add(sequence);
  auto made = unlocked(given.bytes(), [&] { return kCombine(given.vectors()); });
  return object_of(given.type(), std::move(made));
}

nb::object threshold(nb::handle sequence, std::uint64_t least) {
  Given given;
  given.add(sequence);
  auto made = unlocked(given.bytes(), [&] { return bitmap::threshold(given.vectors(), least); });
  return object_of(given.type(), std::move(made));
}

nb::object between(nb::handle sequence, std::uint64_t low, std::uint64_t high) {
  Given given;
  given.add(sequence);
  auto made = unlocked(given.bytes(), [&] { return bitmap::between(given.vectors(), low, high); });
  return object_of(given.type(), std::move(made));
}

using PackedArrays = nb::typed<nb::tuple, Output<std::uint8_t>, Output<std::uint64_t>, Output<std::uint64_t>,
                               Output<std::uint8_t>>;

PackedArrays packed(const Input<std::uint64_t>& rows, const Input<std::uint64_t>& starts,
                    std::uint64_t row_count, std::string_view encoding, std::string_view profile,
                    std::uint64_t offset, std::uint64_t aligned_bytes, std::uint64_t alignment) {
  const Form form = form_of(encoding, profile);
  bitmap::Packed out;
  {
    const NoGil released;
    out = bitmap::pack(span_of(rows), span_of(starts), row_count, form, offset, {aligned_bytes, alignment});
  }
  return nb::make_tuple(hand_over(std::move(out.data)), hand_over(std::move(out.offsets)),
                        hand_over(std::move(out.lengths)), hand_over(std::move(out.encodings)));
}

// A narrowing and the vectors it began with.
class Narrowed {
 public:
  explicit Narrowed(nb::handle sequence) {
    begun_.add(sequence);
    narrowing_ =
        unlocked(begun_.bytes(), [&] { return std::make_unique<bitmap::Narrowing>(begun_.vectors()); });
  }

  void within(nb::handle sequence) { narrow(sequence, &bitmap::Narrowing::within); }
  void outside(nb::handle sequence) { narrow(sequence, &bitmap::Narrowing::outside); }
  std::uint64_t count() const { return narrowing_->count(); }

  nb::object take() {
    return object_of(begun_.type(),
                     unlocked(narrowing_->count(), [&] { return std::move(*narrowing_).take(); }));
  }

 private:
  void narrow(nb::handle sequence, void (bitmap::Narrowing::*step)(bitmap::Vectors)) {
    Given given;
    given.add(sequence);
    unlocked(given.bytes(), [&] {
      ((*narrowing_).*step)(given.vectors());
      return 0;
    });
  }

  Given begun_;
  std::unique_ptr<bitmap::Narrowing> narrowing_;
};

Given all_ranges(nb::handle sequences) {
  Given given;
  for (const nb::handle sequence : nb::iter(sequences)) given.add(sequence);
  return given;
}

nb::object ranges(nb::handle sequences) {
  const Given given = all_ranges(sequences);
  auto made = unlocked(given.bytes(), [&] { return bitmap::ranges(given.parts()); });
  return object_of(given.type(), std::move(made));
}

std::uint64_t count_ranges(nb::handle sequences) {
  const Given given = all_ranges(sequences);
  return unlocked(given.bytes(), [&] { return bitmap::count_ranges(given.parts()); });
}

Output<std::uint64_t> positions(const Vector& vector) {
  Buffer<std::uint64_t> rows(vector.count());
  {
    const NoGil released;
    bitmap::positions(vector, rows.data());
  }
  return hand_over(std::move(rows));
}

nb::typed<nb::tuple, Output<std::uint64_t>, Output<std::uint64_t>> row_runs(const Vector& vector) {
  Buffer<std::uint64_t> starts;
  Buffer<std::uint64_t> stops;
  {
    const NoGil released;
    bitmap::row_runs(vector, starts, stops);
  }
  return nb::make_tuple(hand_over(std::move(starts)), hand_over(std::move(stops)));
}

// A view: the array keeps the vector.
nb::ndarray<nb::numpy, const std::uint8_t, nb::ndim<1>> data(nb::handle_t<Vector> self) {
  const auto bytes = nb::cast<const Vector&>(self).data();
  return {bytes.data(), {bytes.size()}, self};
}

// Groups of 63 rows, literals among them, and bytes as dense, WAH64 and gap_run.
nb::typed<nb::tuple, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t> weigh(
    const Vector& vector) {
  const bitmap::Choices choices = bitmap::weigh(vector);
  return nb::make_tuple(choices.groups, choices.literals, choices.dense_bytes(), choices.wah64_bytes,
                        choices.gap_run_bytes);
}

Output<std::uint64_t> next_rows(bitmap::RowCursor& cursor, std::size_t size) {
  Buffer<std::uint64_t> rows(size);
  rows.resize(cursor.read(rows.data(), size));
  return hand_over(std::move(rows));
}

nb::typed<nb::tuple, Output<std::uint32_t>, Output<std::uint64_t>> slot_words(SlotWords&& out) {
  return nb::make_tuple(hand_over(std::move(out.words)), hand_over(std::move(out.offsets)));
}

void column_add(Wah32ColumnWriter& writer, const Input<std::int32_t>& slots, std::uint64_t first_row,
                std::size_t slot_count) {
  const NoGil released;
  writer.add(span_of(slots), first_row, slot_count);
}

void column_add_vectors(Wah32ColumnWriter& writer, const Input<std::uint32_t>& words,
                        const Input<std::uint64_t>& offsets, const Input<std::int32_t>& slots,
                        std::uint64_t first_row, std::uint64_t row_count, std::size_t slot_count) {
  const NoGil released;
  writer.add_vectors(span_of(words), span_of(offsets), span_of(slots), first_row, row_count, slot_count);
}

bool same(const Vector& left, const Vector& right) {
  return unlocked(left.data().size(), [&] { return bitmap::same_rows(left, right); });
}

void bind_vector(nb::module_& module) {
  nb::class_<Vector>(module, "Vector")
      .def_prop_ro("row_count", &Vector::row_count, "Rows there are, set or not.")
      .def_prop_ro(
          "encoding", [](const Vector& vector) { return bitmap::name_of(vector.encoding()); },
          "Name and version of the encoding.")
      .def_prop_ro(
          "profile", [](const Vector& vector) { return profile_name(vector.form().profile); },
          "What the choice of the encoding is after; empty if the encoding is fixed.")
      .def_prop_ro(
          "nbytes", [](const Vector& vector) { return vector.data().size(); }, "Bytes of the encoded rows.")
      .def_prop_ro("held_bytes", &Vector::held_bytes, "Bytes of memory held, directories included.")
      .def("count", &Vector::count, "Count the rows set.")
      .def("to_numpy", &positions, "Give the rows set, ascending.")
      .def("row_runs", &row_runs)
      .def("bytes_view", &data)
      .def("weigh", &weigh)
      .def(
          "contains", [](const Vector& vector, std::uint64_t row) { return bitmap::contains(vector, row); },
          nb::arg("row"))
      .def(
          "rank_of", [](const Vector& vector, std::uint64_t row) { return bitmap::rank(vector, row); },
          nb::arg("row"))
      .def(
          "select_at",
          [](const Vector& vector, std::uint64_t index) { return bitmap::select(vector, index); },
          nb::arg("index"))
      .def("encoded", &encoded, nb::arg("encoding"), nb::arg("profile"),
           nb::sig("def encoded(self, encoding: str, profile: str) -> typing.Self"))
      .def(
          "intersect_count",
          [](const Vector& left, const Vector& right) {
            return unlocked(left.data().size(), [&] { return bitmap::intersect_count(left, right); });
          },
          nb::arg("other"), "Count the rows set in both, without making the bitmap.")
      .def("__and__", &combined<Operation::intersect>, nb::is_operator(),
           nb::sig("def __and__(self, other: typing.Self, /) -> typing.Self"))
      .def("__or__", &combined<Operation::unite>, nb::is_operator(),
           nb::sig("def __or__(self, other: typing.Self, /) -> typing.Self"))
      .def("__xor__", &combined<Operation::differ>, nb::is_operator(),
           nb::sig("def __xor__(self, other: typing.Self, /) -> typing.Self"))
      .def("__sub__", &combined<Operation::subtract>, nb::is_operator(),
           nb::sig("def __sub__(self, other: typing.Self, /) -> typing.Self"))
      .def("__invert__", &inverted, nb::sig("def __invert__(self) -> typing.Self"))
      .def("__eq__", &same, nb::is_operator(), nb::sig("def __eq__(self, other: object, /) -> bool"))
      .def("__bool__", [](const Vector& vector) { return !vector.none(); });
  nb::class_<bitmap::RowCursor>(module, "RowCursor")
      .def(nb::init<const Vector&>(), nb::arg("vector"), nb::keep_alive<1, 2>())
      .def("next", &next_rows, nb::arg("size"));
}

void bind_stored(nb::module_& module) {
  module.def("pack", &packed, nb::arg("rows"), nb::arg("starts"), nb::arg("row_count"), nb::arg("encoding"),
             nb::arg("profile"), nb::arg("offset"), nb::arg("aligned_bytes"), nb::arg("alignment"));
  module.def("encoding_name",
             [](std::uint8_t encoding) { return bitmap::name_of(static_cast<bitmap::Encoding>(encoding)); });
}

void bind_narrowing(nb::module_& module) {
  nb::class_<Narrowed>(module, "Narrowing")
      .def(nb::init<nb::handle>(), nb::arg("vectors"))
      .def("within", &Narrowed::within, nb::arg("vectors"))
      .def("outside", &Narrowed::outside, nb::arg("vectors"))
      .def("count", &Narrowed::count)
      .def("take", &Narrowed::take);
}

void bind_makers(nb::module_& module) {
  module.def("vector_from_positions", &made_from_positions, nb::arg("type"), nb::arg("rows"),
             nb::arg("row_count"), nb::arg("encoding"), nb::arg("profile"));
  module.def("vector_from_runs", &made_from_runs, nb::arg("type"), nb::arg("starts"), nb::arg("stops"),
             nb::arg("row_count"), nb::arg("encoding"), nb::arg("profile"));
  module.def("vector_from_data", &made_from_data, nb::arg("type"), nb::arg("data"), nb::arg("row_count"),
             nb::arg("encoding"), nb::arg("profile"));
}

void bind_many(nb::module_& module) {
  module.def("unite_all", &combined_all<bitmap::unite_all>, nb::arg("vectors"));
  module.def("intersect_all", &combined_all<bitmap::intersect_all>, nb::arg("vectors"));
  module.def("threshold", &threshold, nb::arg("vectors"), nb::arg("least"));
  module.def("release_blocks", &bitmap::release_blocks);
  module.def("between", &between, nb::arg("slices"), nb::arg("low"), nb::arg("high"));
  module.def("ranges", &ranges, nb::arg("bounds"));
  module.def("count_ranges", &count_ranges, nb::arg("bounds"));
}

void bind_column_writer(nb::module_& module) {
  nb::class_<Wah32ColumnWriter>(module, "Wah32ColumnWriter")
      .def(nb::init<>())
      .def("add", &column_add, nb::arg("slots"), nb::arg("first_row"), nb::arg("slot_count"))
      .def("add_vectors", &column_add_vectors, nb::arg("words"), nb::arg("offsets"), nb::arg("slots"),
           nb::arg("first_row"), nb::arg("row_count"), nb::arg("slot_count"))
      .def_prop_ro("slot_count", &Wah32ColumnWriter::slot_count)
      .def_prop_ro("held_bytes", &Wah32ColumnWriter::held_bytes)
      .def("drain", [](Wah32ColumnWriter& writer) { return slot_words(writer.drain()); })
      .def(
          "finish",
          [](Wah32ColumnWriter& writer, std::uint64_t row_count) {
            return slot_words(writer.finish(row_count));
          },
          nb::arg("row_count"));
}

}  // namespace

void bind_bitmap(nb::module_& module) {
  bind_vector(module);
  bind_stored(module);
  bind_narrowing(module);
  bind_makers(module);
  bind_many(module);
  bind_column_writer(module);
}

}  // namespace esker::bind
