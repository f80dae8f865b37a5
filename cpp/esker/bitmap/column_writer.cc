#include "esker/bitmap/column_writer.h"

#include "esker/error.h"

namespace esker::bitmap {

void SlotWriter::add_vector(std::span<const std::uint32_t> words, std::uint64_t first_row) {
  constexpr std::uint64_t kBits = Groups31::kGroupBits;
  std::uint64_t group = first_row / kBits;
  const auto shift = static_cast<int>(first_row % kBits);
  for (const std::uint32_t word : words) {
    const auto run = wah::run_of<Groups31>(word);
    if (run.word == Groups31::kOnes) {
      const std::uint64_t start = group * kBits + static_cast<unsigned>(shift);
      writer_.add_run(start, start + run.groups * kBits);
    } else if (run.word != 0) {
      const std::uint32_t low = run.word << shift & Groups31::kOnes;
      const std::uint32_t high = run.word >> (kBits - static_cast<unsigned>(shift));
      if (low != 0) writer_.add_word(group, low);
      if (high != 0) writer_.add_word(group + 1, high);
    }
    group += run.groups;
  }
}

void Wah32ColumnWriter::add(std::span<const std::int32_t> slots, std::uint64_t first_row,
                            std::size_t slot_count) {
  if (first_row < row_stop_) throw InvalidInput("rows must ascend");
  for (const std::int32_t slot : slots) {
    if (slot < 0 || static_cast<std::size_t>(slot) >= slot_count) throw InvalidInput("no such slot");
  }
  if (slot_count > writers_.size()) writers_.resize(slot_count);
  std::uint64_t row = first_row;
  for (const std::int32_t slot : slots) writers_[static_cast<std::size_t>(slot)].add_row(row++);
  row_stop_ = row;
}

void Wah32ColumnWriter::add_vectors(std::span<const std::uint32_t> words,
                                    std::span<const std::uint64_t> offsets,
                                    std::span<const std::int32_t> slots, std::uint64_t first_row,
                                    std::uint64_t row_count, std::size_t slot_count) {
  if (first_row < row_stop_) throw InvalidInput("rows must ascend");
  if (offsets.size() != slots.size() + 1 || offsets.front() != 0 || offsets.back() != words.size())
    throw InvalidInput("the vectors are not all of the words");
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (slots[i] < 0 || static_cast<std::size_t>(slots[i]) >= slot_count) throw InvalidInput("no such slot");
    if (offsets[i + 1] < offsets[i] || offsets[i + 1] > words.size())
      throw InvalidInput("the vectors are not all of the words");
    count += wah::check<Groups31>(words.subspan(offsets[i], offsets[i + 1] - offsets[i]), row_count);
  }
  if (count != row_count) throw BitmapCorrupt("not every row is in one vector");
  if (slot_count > writers_.size()) writers_.resize(slot_count);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    writers_[static_cast<std::size_t>(slots[i])].add_vector(
        words.subspan(offsets[i], offsets[i + 1] - offsets[i]), first_row);
  }
  row_stop_ = first_row + row_count;
}

std::size_t Wah32ColumnWriter::held_bytes() const {
  std::size_t bytes = writers_.capacity() * sizeof(SlotWriter);
  for (const SlotWriter& writer : writers_) bytes += writer.capacity_bytes();
  return bytes;
}

SlotWords Wah32ColumnWriter::drain() {
  SlotWords out{{}, {0}};
  for (SlotWriter& writer : writers_) {
    writer.drain(out.words);
    out.offsets.push_back(out.words.size());
  }
  return out;
}

SlotWords Wah32ColumnWriter::finish(std::uint64_t row_count) {
  if (row_stop_ > row_count) throw InvalidInput("rows past the row count");
  SlotWords out{{}, {0}};
  for (SlotWriter& writer : writers_) {
    const auto words = writer.finish(row_count);
    out.words.insert(out.words.end(), words.data(), words.data() + words.size());
    out.offsets.push_back(out.words.size());
  }
  writers_.clear();
  return out;
}

}  // namespace esker::bitmap
