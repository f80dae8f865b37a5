// Hashes are published values: these must never change within a format version.
#include "batches.h"
#include "esker/hash/row_hash.h"

using esker::hash::hash_bytes;
using esker::hash::hash_rows;

namespace {

std::uint64_t hash_of(const char* format, const void* value, std::uint64_t seed = 0) {
  const auto type = column_type("c", format);
  esker::arrow::BatchView batch;
  batch.row_count = 1;
  batch.columns.resize(1);
  batch.columns[0].values = static_cast<const std::uint8_t*>(value);
  const int keys[] = {0};
  std::uint64_t out = 0;
  hash_rows(batch, std::span(&type, 1), keys, seed, 0, 1, &out);
  return out;
}

template <class Value>
std::uint64_t hash_of_value(const char* format, Value value, std::uint64_t seed = 0) {
  return hash_of(format, &value, seed);
}

void test_equal_numbers_hash_alike_whatever_their_width() {
  const auto want = hash_of_value<std::int64_t>("l", -7);
  CHECK(hash_of_value<std::int8_t>("c", -7) == want);
  CHECK(hash_of_value<std::int16_t>("s", -7) == want);
  CHECK(hash_of_value<std::int32_t>("i", -7) == want);
  CHECK(hash_of_value<std::uint8_t>("C", 200) == hash_of_value<std::uint64_t>("L", 200));
  CHECK(hash_of_value<float>("f", 1.5F) == hash_of_value<double>("g", 1.5));
}

void test_zeros_are_one_and_nans_are_one() {
  CHECK(hash_of_value("g", -0.0) == hash_of_value("g", 0.0));
  CHECK(hash_of_value("f", -0.0F) == hash_of_value("f", 0.0F));
  CHECK(hash_of_value<std::uint16_t>("e", 0x8000) == hash_of_value<std::uint16_t>("e", 0));
  CHECK(hash_of_value<std::uint64_t>("g", 0xFFF8'0000'0000'0001) ==
        hash_of_value<std::uint64_t>("g", 0x7FF0'0000'0000'0001));
  CHECK(hash_of_value<std::uint16_t>("e", 0xFE01) == hash_of_value<std::uint16_t>("e", 0x7C01));
}

void test_a_seed_changes_every_hash() {
  for (std::int64_t value = 0; value < 1000; ++value) {
    CHECK(hash_of_value("l", value, 1) != hash_of_value("l", value, 2));
  }
}

void test_lengths_and_zeros_are_told_apart() {
  const std::uint8_t zeros[32] = {};
  for (std::int64_t a = 0; a < 32; ++a) {
    for (std::int64_t b = 0; b < a; ++b) CHECK(hash_bytes(zeros, a) != hash_bytes(zeros, b));
  }
}

// Partitions by the high bits of sequential keys: no partition is off by more than chance explains.
void test_sequential_keys_spread_evenly() {
  std::vector<int> counts(256);
  for (std::int64_t value = 0; value < 256'000; ++value) ++counts[hash_of_value("l", value) >> 56];
  for (const int count : counts) CHECK(count > 840 && count < 1160);  // 5 standard deviations
}

void test_published_values_stay() {
  CHECK(hash_of_value<std::int64_t>("l", 0) == 0x4821'8226'FF3C'D4BF);
  CHECK(hash_of_value<std::int64_t>("l", 42, 7) == 0xD6C6'BCAE'F531'0B01);
  CHECK(hash_bytes(reinterpret_cast<const std::uint8_t*>("a string of many bytes"), 22) ==
        0xBF5D'9673'DC0B'70D7);
}

}  // namespace

int main() {
  test_equal_numbers_hash_alike_whatever_their_width();
  test_zeros_are_one_and_nans_are_one();
  test_a_seed_changes_every_hash();
  test_lengths_and_zeros_are_told_apart();
  test_sequential_keys_spread_evenly();
  test_published_values_stay();
}
