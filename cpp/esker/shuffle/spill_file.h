// Pages over budget, in one file: what of each page is used, one page after the other.
//
// The file is private to a running query and is opened by the caller. Threads: one writer at a time; any
// readers.
#pragma once

#include <cstdint>
#include <vector>

#include "esker/page/page.h"

namespace esker::shuffle {

class SpillFile {
 public:
  // Takes over `fd` (-1: there is no file). `limit_bytes` caps the file.
  SpillFile(int fd, std::uint64_t limit_bytes) : fd_(fd), limit_bytes_(limit_bytes) {}
  ~SpillFile();
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  bool usable() const { return fd_ >= 0; }
  void release() { fd_ = -1; }
  std::uint64_t bytes() const { return end_; }

  // Appends the header and the ranges of a sealed page; returns where. Throws SpillFailed.
  std::uint64_t append(const std::uint8_t* page, const std::vector<page::Range>& ranges);
  // Reads them back into `page`, to where they were. Throws SpillFailed, PageCorrupt when the file is too
  // short.
  void read(std::uint64_t offset, std::uint8_t* page, const std::vector<page::Range>& ranges) const;

 private:
  int fd_;
  std::uint64_t limit_bytes_;
  std::uint64_t end_ = 0;
};

}  // namespace esker::shuffle
