// What tables need to write a run: keys by partition, batches of pairs, places in the file.
#pragma once

#include <nanobind/nanobind.h>

#include <cerrno>
#include <cstdint>
#include <utility>
#include <vector>

#include "esker/error.h"
#include "esker/hash/row_hash.h"
#include "esker/objects/entry.h"
#include "esker/objects/key_map.h"

namespace esker::bind {

constexpr std::uint32_t kBatchPairs = 1024;
constexpr std::size_t kBatchBytes = std::size_t{1} << 20;

// Where a run's partitions begin, with the end of the last; and the pairs of each.
using Written = std::pair<std::vector<std::uint64_t>, std::vector<std::uint64_t>>;

// Numbers of keys by partition, each partition's in the order of their first appearance.
struct ByPartition {
  std::vector<std::uint32_t> begins;
  std::vector<std::uint32_t> numbers;
};

inline ByPartition by_partition(const std::vector<std::uint32_t>& partitions, std::uint32_t partition_count) {
  ByPartition sorted{std::vector<std::uint32_t>(partition_count + 1),
                     std::vector<std::uint32_t>(partitions.size())};
  for (const std::uint32_t partition : partitions) ++sorted.begins[partition + 1];
  for (std::uint32_t p = 0; p < partition_count; ++p) sorted.begins[p + 1] += sorted.begins[p];
  std::vector<std::uint32_t> next(sorted.begins.begin(), sorted.begins.end() - 1);
  for (std::uint32_t i = 0; i < partitions.size(); ++i) sorted.numbers[next[partitions[i]]++] = i;
  return sorted;
}

// By another hash than that of the partitions: all keys of a table may agree in that one.
inline ByPartition by_other_hash(const objects::KeyMap& keys, std::uint32_t parts, std::uint32_t depth) {
  std::vector<std::uint32_t> part_of(keys.size());
  for (std::uint32_t i = 0; i < keys.size(); ++i) {
    const std::uint64_t spread = hash::mix(static_cast<std::uint64_t>(keys[i].hash) + hash::start(depth));
    part_of[i] = static_cast<std::uint32_t>(spread % parts);
  }
  return by_partition(part_of, parts);
}

// Writes the pairs and forgets them.
inline void write_batch(objects::EntryWriter& writer, objects::Buffer& keys, objects::Buffer& values,
                        std::uint32_t pairs) {
  writer.begin(keys.size(), pairs, values.size());
  writer.begin_block();
  writer.put(keys.bytes());
  writer.begin_block();
  writer.put(values.bytes());
  keys.clear();
  values.clear();
}

// Writes a run: `put(number, keys, values)` adds the pair of a key.
template <class Put>
Written write_pairs(int fd, const ByPartition& sorted, Put put) {
  const auto parts = static_cast<std::uint32_t>(sorted.begins.size() - 1);
  objects::EntryWriter writer(fd);
  Written written{{0}, std::vector<std::uint64_t>(parts)};
  objects::Buffer keys;
  objects::Buffer values;
  for (std::uint32_t part = 0; part < parts; ++part) {
    std::uint32_t pairs = 0;
    const std::uint32_t end = sorted.begins[part + 1];
    for (std::uint32_t i = sorted.begins[part]; i < end; ++i) {
      put(sorted.numbers[i], keys, values);
      if (++pairs == kBatchPairs || i + 1 == end || keys.size() + values.size() > kBatchBytes) {
        write_batch(writer, keys, values, pairs);
        pairs = 0;
      }
    }
    written.second[part] = end - sorted.begins[part];
    written.first.push_back(writer.written());
  }
  writer.flush();
  return written;
}

[[noreturn]] inline void raise_os_error(const SpillFailed& error) {
  errno = error.code;
  PyErr_SetFromErrno(PyExc_OSError);
  throw nanobind::python_error();
}

}  // namespace esker::bind
