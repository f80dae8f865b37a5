// Which partition a row goes to.
#pragma once

#include <cstdint>
#include <vector>

#include "esker/arrow/batch_view.h"

namespace esker::shuffle {

constexpr std::uint32_t kPartitionCountMax = 1U << 20;

enum class Function : std::uint8_t {
  hash,    // of all key columns
  modulo,  // an integer key modulo the number of partitions, never negative; null goes to partition 0
  id,      // an integer column that says the partition
};

class PartitionFunction {
 public:
  // Throws std::invalid_argument when the keys do not fit the function.
  PartitionFunction(Function function, const std::vector<arrow::ColumnType>& columns, std::vector<int> keys,
                    std::uint32_t partition_count, std::uint64_t seed, bool power_of_two = true);

  std::uint32_t partition_count() const { return partition_count_; }

  // Writes the partitions of `row_count` rows from `row_begin` on.
  void operator()(const arrow::BatchView& batch, std::int64_t row_begin, std::int64_t row_count,
                  std::uint32_t* out) const;

 private:
  void by_hash(const arrow::BatchView& batch, std::int64_t begin, std::int64_t count,
               std::uint32_t* out) const;
  template <class Stored>
  void by_integer(const arrow::ColumnView& key, std::int64_t begin, std::int64_t count,
                  std::uint32_t* out) const;
  template <class Stored>
  void by_modulo(const arrow::ColumnView& key, std::int64_t begin, std::int64_t count,
                 std::uint32_t* out) const;

  Function function_;
  const std::vector<arrow::ColumnType>& columns_;
  std::vector<int> keys_;
  std::uint32_t partition_count_;
  std::uint64_t seed_;
  std::uint32_t mask_;  // what & takes in place of %; 0: nothing
};

}  // namespace esker::shuffle
