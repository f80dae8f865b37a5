#include "esker/shuffle/partition_function.h"

#include <algorithm>
#include <array>
#include <bit>
#include <stdexcept>
#include <type_traits>

#include "esker/hash/row_hash.h"

namespace esker::shuffle {
namespace {

// Hashes wait here for a moment: the block stays in the innermost cache.
constexpr std::int64_t kBlockRows = 1024;

// One integer key without nulls, hashed and scaled in one pass; compiled twice, since 64-bit products of
// eight values at a time need AVX-512 (0.4 of the time of the general way, and 0.6 of the scalar one).
template <class Stored>
[[gnu::always_inline]] inline void hash_integers_of(const std::uint8_t* values, std::int64_t count,
                                                    std::uint64_t start, std::uint32_t partition_count,
                                                    std::uint32_t* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    const auto value = arrow::load<Stored>(values + i * static_cast<std::int64_t>(sizeof(Stored)));
    const std::uint64_t hash = hash::mix(start + static_cast<std::uint64_t>(value));
    out[i] = static_cast<std::uint32_t>(((hash >> 32) * partition_count) >> 32);
  }
}

template <class Stored>
void hash_integers_plain(const std::uint8_t* values, std::int64_t count, std::uint64_t start,
                         std::uint32_t partition_count, std::uint32_t* out) {
  hash_integers_of<Stored>(values, count, start, partition_count, out);
}

#if defined(__x86_64__) && defined(__GNUC__)
template <class Stored>
__attribute__((target("avx512f,avx512dq,avx512vl"))) void hash_integers_512(const std::uint8_t* values,
                                                                            std::int64_t count,
                                                                            std::uint64_t start,
                                                                            std::uint32_t partition_count,
                                                                            std::uint32_t* out) {
  hash_integers_of<Stored>(values, count, start, partition_count, out);
}

bool has_wide_products() {
  static const bool found = [] {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
  }();
  return found;
}
#endif

template <class Stored>
void hash_integers(const std::uint8_t* values, std::int64_t count, std::uint64_t start,
                   std::uint32_t partition_count, std::uint32_t* out) {
#if defined(__x86_64__) && defined(__GNUC__)
  if (has_wide_products()) return hash_integers_512<Stored>(values, count, start, partition_count, out);
#endif
  hash_integers_plain<Stored>(values, count, start, partition_count, out);
}

template <class Stored>
std::uint32_t modulo(Stored value, std::uint32_t count) {
  if constexpr (std::is_signed_v<Stored>) {
    const auto rest = static_cast<std::int64_t>(value) % static_cast<std::int64_t>(count);
    return static_cast<std::uint32_t>(rest < 0 ? rest + count : rest);
  } else if constexpr (sizeof(Stored) <= 4) {
    return static_cast<std::uint32_t>(value) % count;
  } else {
    return static_cast<std::uint32_t>(value % count);
  }
}

template <class Stored>
std::uint32_t as_id(Stored value, bool valid, std::uint32_t count) {
  if (!valid || value < 0 || static_cast<std::uint64_t>(value) >= count) {
    throw std::invalid_argument("a partition id is null or outside 0 to " + std::to_string(count - 1));
  }
  return static_cast<std::uint32_t>(value);
}

}  // namespace

PartitionFunction::PartitionFunction(Function function, const std::vector<arrow::ColumnType>& columns,
                                     std::vector<int> keys, std::uint32_t partition_count, std::uint64_t seed,
                                     bool power_of_two)
    : function_(function),
      columns_(columns),
      keys_(std::move(keys)),
      partition_count_(partition_count),
      seed_(seed),
      mask_(power_of_two && std::has_single_bit(partition_count) ? partition_count - 1 : 0) {
  if (partition_count == 0 || partition_count > kPartitionCountMax) {
    throw std::invalid_argument("the number of partitions must be from 1 to " +
                                std::to_string(kPartitionCountMax));
  }
  if (keys_.empty()) throw std::invalid_argument("no key column");
  for (const int key : keys_) {
    if (key < 0 || static_cast<std::size_t>(key) >= columns.size())
      throw std::invalid_argument("no such key column");
  }
  if (function == Function::hash) return;
  if (keys_.size() != 1 || !columns[static_cast<std::size_t>(keys_[0])].integer()) {
    throw std::invalid_argument("modulo and id take one key column of integers");
  }
}

void PartitionFunction::operator()(const arrow::BatchView& batch, std::int64_t row_begin,
                                   std::int64_t row_count, std::uint32_t* out) const {
  const auto index = static_cast<std::size_t>(keys_[0]);
  const arrow::ColumnView& key = batch.columns[index];
  const bool one_integer = keys_.size() == 1 && columns_[index].integer() && key.validity == nullptr;
  if (function_ == Function::hash && !one_integer) return by_hash(batch, row_begin, row_count, out);
  const bool is_signed = columns_[index].key == arrow::Key::signed_integer;
  switch (columns_[index].width) {
    case 1:
      return is_signed ? by_integer<std::int8_t>(key, row_begin, row_count, out)
                       : by_integer<std::uint8_t>(key, row_begin, row_count, out);
    case 2:
      return is_signed ? by_integer<std::int16_t>(key, row_begin, row_count, out)
                       : by_integer<std::uint16_t>(key, row_begin, row_count, out);
    case 4:
      return is_signed ? by_integer<std::int32_t>(key, row_begin, row_count, out)
                       : by_integer<std::uint32_t>(key, row_begin, row_count, out);
    default:
      return is_signed ? by_integer<std::int64_t>(key, row_begin, row_count, out)
                       : by_integer<std::uint64_t>(key, row_begin, row_count, out);
  }
}

void PartitionFunction::by_hash(const arrow::BatchView& batch, std::int64_t begin, std::int64_t count,
                                std::uint32_t* out) const {
  std::array<std::uint64_t, kBlockRows> hashes;
  for (std::int64_t done = 0; done < count; done += kBlockRows) {
    const std::int64_t rows = std::min(kBlockRows, count - done);
    hash::hash_rows(batch, columns_, keys_, seed_, begin + done, rows, hashes.data());
    // The high half, scaled: no division, and every count is served equally well.
    for (std::int64_t i = 0; i < rows; ++i) {
      out[done + i] =
          static_cast<std::uint32_t>(((hashes[static_cast<std::size_t>(i)] >> 32) * partition_count_) >> 32);
    }
  }
}

template <class Stored>
void PartitionFunction::by_integer(const arrow::ColumnView& key, std::int64_t begin, std::int64_t count,
                                   std::uint32_t* out) const {
  constexpr auto width = static_cast<std::int64_t>(sizeof(Stored));
  const auto* values = key.values + (key.offset + begin) * width;
  if (function_ == Function::hash) {
    return hash_integers<Stored>(values, count, hash::start(seed_), partition_count_, out);
  }
  if (function_ == Function::modulo) return by_modulo<Stored>(key, begin, count, out);
  for (std::int64_t i = 0; i < count; ++i) {
    out[i] = as_id(arrow::load<Stored>(values + i * width), key.valid(begin + i), partition_count_);
  }
}

// Source 002, 3.1 and 3.2. Two's complement makes & right for negative values too.
template <class Stored>
void PartitionFunction::by_modulo(const arrow::ColumnView& key, std::int64_t begin, std::int64_t count,
                                  std::uint32_t* out) const {
  constexpr auto width = static_cast<std::int64_t>(sizeof(Stored));
  const auto* values = key.values + (key.offset + begin) * width;
  if (mask_ != 0 || partition_count_ == 1) {
    for (std::int64_t i = 0; i < count; ++i) {
      out[i] = static_cast<std::uint32_t>(arrow::load<Stored>(values + i * width)) & mask_;
    }
  } else {
    for (std::int64_t i = 0; i < count; ++i) {
      out[i] = modulo(arrow::load<Stored>(values + i * width), partition_count_);
    }
  }
  if (key.validity == nullptr) return;
  for (std::int64_t i = 0; i < count; ++i) {
    if (!key.valid(begin + i)) out[i] = 0;
  }
}

}  // namespace esker::shuffle
