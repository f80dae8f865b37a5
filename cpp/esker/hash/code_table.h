// A hash table of 64-bit codes: which of them are equal, and which equal one asked for.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace esker::hash {

// Numbers the different codes in the order they first come. Threads may share it once it is made.
class CodeTable {
 public:
  // Writes the number of each of `codes` to `numbers`.
  CodeTable(std::span<const std::int64_t> codes, std::int64_t* numbers);

  std::int64_t code_count() const { return code_count_; }

  // Writes the number of each of `codes`, or -1 for one that is not there.
  void find(std::span<const std::int64_t> codes, std::int64_t* numbers) const;

 private:
  struct Slot {
    std::int64_t code;
    std::int64_t number;  // -1: nothing is here
  };

  std::size_t place_of(std::int64_t code) const;

  std::vector<Slot> slots_;
  int shift_ = 0;
  std::int64_t code_count_ = 0;
};

}  // namespace esker::hash
