#include "esker/nested/encode_rows.h"

#include <bit>
#include <cstring>
#include <utility>

#include "esker/nested/array_export.h"

namespace esker::nested {
namespace {

using arrow::load;
using Bytes = std::vector<std::uint8_t>;

class Encoder {
 public:
  Encoder(Bytes& out, bool as_key) : out_(out), as_key_(as_key) {}

  void put(const ValueView& view, Range range) {
    switch (view.type->kind) {
      case Kind::null:
        return;
      case Kind::dense_union:
      case Kind::sparse_union:
      case Kind::dictionary:
      case Kind::runs:
        for (std::int64_t i = 0; i < range.count; ++i) put_indirect(view, range.begin + i);
        return;
      default:
        put_direct(view, range);
    }
  }

 private:
  void put_number(std::uint64_t number) {
    for (; number >= 0x80; number >>= 7) out_.push_back(static_cast<std::uint8_t>(number | 0x80));
    out_.push_back(static_cast<std::uint8_t>(number));
  }

  void put_bytes(const std::uint8_t* data, std::int64_t size) {
    if (size > 0) out_.insert(out_.end(), data, data + size);
  }

  void put_indirect(const ValueView& view, std::int64_t item) {
    if (view.type->kind == Kind::runs || view.type->kind == Kind::dictionary) return put_measured(view, item);
    const auto [child, place] = view.union_item(item);
    out_.push_back(static_cast<std::uint8_t>(view.type->union_ids[child]));
    put(view.children[child], {place, 1});
  }

  // With its length, so that the reader compares items without decoding them; no byte at all for a null of a
  // dictionary, whether the index or the value is null.
  void put_measured(const ValueView& view, std::int64_t item) {
    const bool dictionary = view.type->kind == Kind::dictionary;
    if (dictionary && view.null(item)) return put_number(0);
    Bytes bytes;
    Encoder(bytes, as_key_)
        .put(view.children[0], {dictionary ? view.dictionary_item(item) : view.run_of(item), 1});
    put_number(bytes.size());
    put_bytes(bytes.data(), static_cast<std::int64_t>(bytes.size()));
  }

  void put_direct(const ValueView& view, Range range) {
    const bool nulls = any_null(view, range);
    if (!nulls) {
      out_.push_back(static_cast<std::uint8_t>(Validity::all));
    } else if (range.count == 1) {
      return out_.push_back(static_cast<std::uint8_t>(Validity::one_null));
    } else {
      out_.push_back(static_cast<std::uint8_t>(Validity::bitmap));
      put_bits(range, [&](std::int64_t item) { return view.column.valid(item); });
    }
    put_items(view, range, nulls);
  }

  static bool any_null(const ValueView& view, Range range) {
    if (view.column.validity == nullptr) return false;
    for (std::int64_t i = 0; i < range.count; ++i) {
      if (!view.column.valid(range.begin + i)) return true;
    }
    return false;
  }

  template <class Bit>
  void put_bits(Range range, Bit bit) {
    const std::size_t begin = out_.size();
    out_.resize(begin + static_cast<std::size_t>((range.count + 7) / 8));
    for (std::int64_t i = 0; i < range.count; ++i) {
      if (bit(range.begin + i)) {
        out_[begin + static_cast<std::size_t>(i / 8)] |= static_cast<std::uint8_t>(1U << (i % 8));
      }
    }
  }

  void put_items(const ValueView& view, Range range, bool nulls) {
    switch (view.type->kind) {
      case Kind::bits:
        return put_bits(range, [&](std::int64_t item) {
          return view.column.valid(item) && arrow::bit_at(view.column.values, view.column.offset + item);
        });
      case Kind::fixed:
        return put_fixed(view, range, nulls);
      case Kind::structure:
        for (const ValueView& child : view.children) {
          put_children(view, range, nulls,
                       [&](Range at) { put(child, {view.column.offset + at.begin, at.count}); });
        }
        return;
      case Kind::fixed_list: {
        const std::int64_t size = view.type->list_size;
        return put_children(view, range, nulls, [&](Range at) {
          put(view.children[0], {(view.column.offset + at.begin) * size, at.count * size});
        });
      }
      default:
        for (std::int64_t i = range.begin; i < range.begin + range.count; ++i) {
          if (view.column.valid(i)) put_sized(view, i);
        }
    }
  }

  // The whole range at once, or each valid item by itself: what lies under a null is not written.
  template <class Put>
  static void put_children(const ValueView& view, Range range, bool nulls, Put put_range) {
    if (!nulls) return put_range(range);
    for (std::int64_t i = range.begin; i < range.begin + range.count; ++i) {
      if (view.column.valid(i)) put_range({i, 1});
    }
  }

  void put_sized(const ValueView& view, std::int64_t item) {
    if (view.type->kind == Kind::bytes) {
      const auto value = bytes_of(view, item);
      put_number(static_cast<std::uint64_t>(value.size));
      return put_bytes(value.data, value.size);
    }
    const Range list = view.list(item);
    put_number(static_cast<std::uint64_t>(list.count));
    put(view.children[0], list);
  }

  static arrow::Bytes bytes_of(const ValueView& view, std::int64_t item) {
    switch (view.type->source) {
      case arrow::Source::offsets32:
        return arrow::bytes_at<arrow::Source::offsets32>(view.column, item);
      case arrow::Source::offsets64:
        return arrow::bytes_at<arrow::Source::offsets64>(view.column, item);
      default:
        return arrow::bytes_at<arrow::Source::views>(view.column, item);
    }
  }

  void put_fixed(const ValueView& view, Range range, bool nulls) {
    const std::int64_t width = view.type->width;
    const auto* values = view.column.values + (view.column.offset + range.begin) * width;
    const std::size_t begin = out_.size();
    put_bytes(values, range.count * width);
    for (std::int64_t i = 0; nulls && i < range.count; ++i) {
      if (!view.column.valid(range.begin + i)) std::memset(out_.data() + begin + i * width, 0, width);
    }
    if (as_key_) make_equal(view.type->key, out_.data() + begin, range.count);
  }

  static void make_equal(arrow::Key key, std::uint8_t* values, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      if (key == arrow::Key::real) {
        make_equal_real<double, std::uint64_t>(values + i * 8, 0x7FF8'0000'0000'0000);
      } else if (key == arrow::Key::single) {
        make_equal_real<float, std::uint32_t>(values + i * 4, 0x7FC0'0000);
      } else if (key == arrow::Key::half) {
        const auto bits = load<std::uint16_t>(values + i * 2);
        if ((bits & 0x7FFF) > 0x7C00) store<std::uint16_t>(values + i * 2, 0x7E00);
        if (bits == 0x8000) store<std::uint16_t>(values + i * 2, 0);
      } else {
        return;
      }
    }
  }

  template <class Real, class Bits>
  static void make_equal_real(std::uint8_t* place, Bits nan) {
    const auto value = load<Real>(place);
    store<Bits>(place, value != value ? nan : std::bit_cast<Bits>(value + Real{0}));  // -0.0 + 0.0 is 0.0
  }

  template <class Value>
  static void store(std::uint8_t* place, Value value) {
    std::memcpy(place, &value, sizeof(Value));
  }

  Bytes& out_;
  bool as_key_;
};

}  // namespace

EncodedRows encode_rows(const ValueView& view, bool as_key) {
  EncodedRows rows;
  rows.offsets.reserve(static_cast<std::size_t>(view.length) + 1);
  Encoder encoder(rows.bytes, as_key);
  for (std::int64_t row = 0; row < view.length; ++row) {
    rows.bytes.push_back(kEncodingVersion);
    encoder.put(view, {row, 1});
    rows.offsets.push_back(static_cast<std::int64_t>(rows.bytes.size()));
  }
  return rows;
}

void export_rows(EncodedRows rows, ArrowArray* out) {
  ValueType type;
  type.kind = Kind::bytes;
  type.source = arrow::Source::offsets64;
  ExportedArray built;
  built.length = static_cast<std::int64_t>(rows.offsets.size()) - 1;
  const auto* offsets = reinterpret_cast<const std::uint8_t*>(rows.offsets.data());
  built.values.assign(offsets, offsets + rows.offsets.size() * sizeof(std::int64_t));
  built.data = std::move(rows.bytes);
  export_array(type, std::move(built), out);
}

}  // namespace esker::nested
