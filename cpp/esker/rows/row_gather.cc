#include "esker/rows/row_gather.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>

#include "esker/error.h"
#include "esker/page/page_batch.h"

namespace esker::rows {
namespace {

using arrow::ColumnType;
using arrow::ColumnView;
using arrow::Source;
using Rows = std::span<const std::uint64_t>;

// How many rows ahead the bytes of a text are called for: they lie wherever its offset says.
constexpr std::size_t kAhead = 12;

// Memory that is written from end to end, and not cleared before.
using Memory = std::unique_ptr<std::uint8_t[]>;

Memory memory_of(std::uint64_t bytes) {
  return std::make_unique_for_overwrite<std::uint8_t[]>(std::max<std::uint64_t>(bytes, 1));
}

struct Taken {
  Memory validity;
  Memory values;
  Memory data;
  std::int64_t null_count = 0;
};

// The rows of one batch that are taken: numbers less `first` are places in the column.
struct Piece {
  const ColumnView* column;
  std::uint64_t first;
  std::uint64_t data_bytes;
  Rows rows;
  std::size_t at;  // where its rows begin among those taken

  std::uint64_t place(std::size_t i) const {
    return rows[i] - first + static_cast<std::uint64_t>(column->offset);
  }
};
using Pieces = std::vector<Piece>;

template <class Word>
void take_words(const Pieces& pieces, std::uint8_t* out) {
  auto* to = reinterpret_cast<Word*>(out);
  for (const Piece& piece : pieces) {
    const auto* const from = reinterpret_cast<const Word*>(piece.column->values);
    for (std::size_t i = 0; i < piece.rows.size(); ++i) *to++ = from[piece.place(i)];
  }
}

struct Wide {
  std::uint64_t words[2];
};

void take_bytes(const Pieces& pieces, std::size_t width, std::uint8_t* out) {
  for (const Piece& piece : pieces) {
    for (std::size_t i = 0; i < piece.rows.size(); ++i, out += width)
      std::memcpy(out, piece.column->values + piece.place(i) * width, width);
  }
}

void take_fixed(const Pieces& pieces, std::size_t width, std::uint8_t* out) {
  switch (width) {
    case 1:
      return take_words<std::uint8_t>(pieces, out);
    case 2:
      return take_words<std::uint16_t>(pieces, out);
    case 4:
      return take_words<std::uint32_t>(pieces, out);
    case 8:
      return take_words<std::uint64_t>(pieces, out);
    case 16:
      return take_words<Wide>(pieces, out);
    default:
      return take_bytes(pieces, width, out);
  }
}

void set_bit(std::uint8_t* bits, std::size_t index, bool value) {
  bits[index / 8] = static_cast<std::uint8_t>(bits[index / 8] | (value ? 1 : 0) << (index % 8));
}

Memory take_bits(const Pieces& pieces, std::size_t count) {
  Memory out = memory_of((count + 7) / 8);
  std::memset(out.get(), 0, (count + 7) / 8);
  for (const Piece& piece : pieces) {
    for (std::size_t i = 0; i < piece.rows.size(); ++i)
      set_bit(out.get(), piece.at + i,
              arrow::bit_at(piece.column->values, static_cast<std::int64_t>(piece.place(i))));
  }
  return out;
}

void take_validity(const Pieces& pieces, std::size_t count, Taken& taken) {
  if (std::ranges::all_of(pieces, [](const Piece& piece) { return piece.column->validity == nullptr; }))
    return;
  taken.validity = memory_of((count + 7) / 8);
  std::memset(taken.validity.get(), 0, (count + 7) / 8);
  for (const Piece& piece : pieces) {
    for (std::size_t i = 0; i < piece.rows.size(); ++i) {
      const bool valid = piece.column->validity == nullptr ||
                         arrow::bit_at(piece.column->validity, static_cast<std::int64_t>(piece.place(i)));
      set_bit(taken.validity.get(), piece.at + i, valid);
      taken.null_count += valid ? 0 : 1;
    }
  }
}

// The texts of rows, one behind the other. Where each begins is looked up first, so that the second pass can
// call for them ahead.
template <class Offset>
void take_texts(const Pieces& pieces, std::size_t count, const std::string& name, Taken& taken) {
  taken.values = memory_of((count + 1) * sizeof(Offset));
  auto* const offsets = reinterpret_cast<Offset*>(taken.values.get());
  const auto begins = std::make_unique_for_overwrite<const std::uint8_t*[]>(count);
  std::uint64_t total = 0;
  offsets[0] = 0;
  for (const Piece& piece : pieces) {
    const auto* const from = reinterpret_cast<const Offset*>(piece.column->values);
    for (std::size_t i = 0; i < piece.rows.size(); ++i) {
      const std::size_t at = piece.at + i;
      const std::uint64_t place = piece.place(i);
      // A negative offset is a large number here.
      auto begin = static_cast<std::uint64_t>(from[place]);
      auto end = static_cast<std::uint64_t>(from[place + 1]);
      if (taken.validity != nullptr && !arrow::bit_at(taken.validity.get(), static_cast<std::int64_t>(at))) {
        begin = end = 0;
      } else if (begin > end || end > piece.data_bytes) {
        throw PageCorrupt("column '" + name + "' is damaged: an offset leads out of it");
      }
      begins[at] = piece.column->data + begin;
      total += end - begin;
      if (total > static_cast<std::uint64_t>(std::numeric_limits<Offset>::max()))
        throw std::overflow_error("the texts of column '" + name + "' are too long for one batch");
      offsets[at + 1] = static_cast<Offset>(total);
    }
  }
  taken.data = memory_of(total);
  for (std::size_t i = 0; i < count; ++i) {
    if (i + kAhead < count) __builtin_prefetch(begins[i + kAhead]);
    const auto size = static_cast<std::size_t>(offsets[i + 1] - offsets[i]);
    if (size != 0) std::memcpy(taken.data.get() + offsets[i], begins[i], size);
  }
}

Taken take_column(const ColumnType& type, const Pieces& pieces, std::size_t count) {
  Taken taken;
  take_validity(pieces, count, taken);
  switch (type.source) {
    case Source::none:
      taken.null_count = static_cast<std::int64_t>(count);
      break;
    case Source::bits:
      taken.values = take_bits(pieces, count);
      break;
    case Source::fixed:
      taken.values = memory_of(count * type.width);
      take_fixed(pieces, type.width, taken.values.get());
      break;
    case Source::offsets32:
      take_texts<std::int32_t>(pieces, count, type.name, taken);
      break;
    case Source::offsets64:
      take_texts<std::int64_t>(pieces, count, type.name, taken);
      break;
    default:
      throw UnsupportedType("column '" + type.name + "' has views, which are not gathered");
  }
  return taken;
}

page::BatchColumn exported(const ColumnType& type, const Taken& taken) {
  page::BatchColumn column;
  column.null_count = taken.null_count;
  if (type.source == Source::none) return column;
  column.buffers = {taken.null_count > 0 ? taken.validity.get() : nullptr, taken.values.get(),
                    taken.data.get(), nullptr};
  column.buffer_count = taken.data != nullptr ? 3 : 2;
  return column;
}

}  // namespace

RowGather::RowGather(std::vector<ColumnType> columns, std::vector<std::uint64_t> starts)
    : columns_(std::move(columns)), starts_(std::move(starts)) {
  if (starts_.empty() || starts_[0] != 0 || !std::ranges::is_sorted(starts_))
    throw InvalidInput("batches begin at row 0 and follow one another");
  parts_ = std::vector<Part>(starts_.size() - 1);
}

void RowGather::add(std::size_t part, arrow::BatchView batch, std::vector<std::uint64_t> data_bytes) {
  if (part >= parts_.size() || data_bytes.size() != columns_.size() ||
      batch.columns.size() != columns_.size() ||
      static_cast<std::uint64_t>(batch.row_count) != starts_[part + 1] - starts_[part] || parts_[part].added)
    throw InvalidInput("a batch with other rows or columns than were said");
  parts_[part].batch = std::move(batch);
  parts_[part].data_bytes = std::move(data_bytes);
  parts_[part].added = true;
}

std::vector<RowGather::Stretch> RowGather::stretches(Rows rows) const {
  if (!std::ranges::is_sorted(rows)) throw InvalidInput("rows to be taken ascend");
  std::vector<Stretch> out;
  for (std::size_t from = 0; from != rows.size();) {
    const auto next = std::ranges::upper_bound(starts_, rows[from]);
    if (next == starts_.end())
      throw InvalidInput("row " + std::to_string(rows[from]) + " is past the last one");
    const auto stop =
        static_cast<std::size_t>(std::ranges::lower_bound(rows.subspan(from), *next) - rows.begin());
    out.push_back({static_cast<std::size_t>(next - starts_.begin()) - 1, from, stop});
    from = stop;
  }
  return out;
}

std::vector<std::size_t> RowGather::missing(Rows rows) const {
  std::vector<std::size_t> out;
  for (const Stretch& stretch : stretches(rows)) {
    if (!parts_[stretch.part].added) out.push_back(stretch.part);
  }
  return out;
}

void RowGather::take(Rows rows, std::span<const std::uint32_t> columns, ArrowArray* out) const {
  const std::vector<Stretch> all = stretches(rows);
  auto owned = std::make_shared<std::vector<Taken>>();
  std::vector<page::BatchColumn> batch;
  for (const std::uint32_t number : columns) {
    if (number >= columns_.size()) throw InvalidInput("no column " + std::to_string(number));
    Pieces pieces;
    for (const auto& [part, from, stop] : all) {
      if (!parts_[part].added) throw InvalidInput("batch " + std::to_string(part) + " was not added");
      pieces.push_back({&parts_[part].batch.columns[number], starts_[part], parts_[part].data_bytes[number],
                        rows.subspan(from, stop - from), from});
    }
    owned->push_back(take_column(columns_[number], pieces, rows.size()));
    batch.push_back(exported(columns_[number], owned->back()));
  }
  page::export_columns(std::move(batch), static_cast<std::uint32_t>(rows.size()), std::move(owned), out);
}

}  // namespace esker::rows
