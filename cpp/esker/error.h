// What the kernel throws; the binding turns each into a Python class.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace esker {

struct PageCorrupt : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A page did not fit the pool, and nothing was left to spill (or there is nowhere to spill to).
struct PoolExhausted : std::runtime_error {
  PoolExhausted(std::uint64_t wanted, std::uint64_t budget)
      : std::runtime_error("a page of " + std::to_string(wanted) + " bytes does not fit the pool of " +
                           std::to_string(budget)),
        bytes_wanted(wanted) {}
  std::uint64_t bytes_wanted;
};

// Writing or reading spilled pages failed; `code` is an errno.
struct SpillFailed : std::runtime_error {
  SpillFailed(int error, std::uint64_t bytes, const std::string& what)
      : std::runtime_error(what), code(error), bytes_wanted(bytes) {}
  int code;
  std::uint64_t bytes_wanted;
};

// Stored objects, or the entries of a run, are not what was written.
struct ObjectsCorrupt : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// `interrupt` was called.
struct Interrupted : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Another thread of the same push failed; that one's error is what the caller gets.
struct Abandoned : std::runtime_error {
  Abandoned() : std::runtime_error("another thread failed") {}
};

struct BitmapCorrupt : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What the caller gave does not fit together.
struct InvalidInput : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

struct UnsupportedType : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace esker
