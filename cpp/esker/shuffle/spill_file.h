// Pages over budget, in one file: what of each page is used, one page after the other.
//
// The file is private to a running query and is opened by the caller. Threads: one writer at a time; any
// readers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "esker/page/page.h"

namespace esker::shuffle {

// A sealed page to be written: its header, and the ranges of it that are used.
struct SealedPage {
  const std::uint8_t* bytes;
  std::vector<page::Range> ranges;
};

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

  // Appends pages behind one another, in as few calls as the system allows; returns where each is. Throws
  // SpillFailed.
  std::vector<std::uint64_t> append(std::span<const SealedPage> pages);
  // Reads one back into `page`, to where its ranges were. Throws SpillFailed, PageCorrupt when the file is
  // too short.
  void read(std::uint64_t offset, std::uint8_t* page, const std::vector<page::Range>& ranges) const;
  // Frees the disk below bytes that are not read again, in whole blocks, where the file system can: what is
  // gone before the system wrote it is never written.
  void discard(std::uint64_t offset, std::uint64_t bytes) const noexcept;

  // What a page with these ranges takes in the file.
  static std::uint64_t bytes_of(const std::vector<page::Range>& ranges);

 private:
  int fd_;
  std::uint64_t limit_bytes_;
  std::uint64_t end_ = 0;
};

}  // namespace esker::shuffle
