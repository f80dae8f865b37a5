#include "esker/shuffle/spill_file.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "esker/error.h"

namespace esker::shuffle {
namespace {

using page::Range;

// Well below every system's limit of buffers in one call.
constexpr std::size_t kBuffersMax = 512;

// Holes are made of whole blocks.
constexpr std::uint64_t kBlockBytes = 4096;

void add_buffers(std::vector<iovec>& buffers, std::uint8_t* page, const std::vector<Range>& ranges) {
  buffers.push_back({page, page::kHeaderBytes});
  for (const Range& range : ranges) {
    auto* const begin = page + range.begin;
    auto& last = buffers.back();
    if (static_cast<std::uint8_t*>(last.iov_base) + last.iov_len == begin) {
      last.iov_len += range.end - range.begin;
    } else {
      buffers.push_back({begin, static_cast<std::size_t>(range.end - range.begin)});
    }
  }
}

std::uint64_t total(const std::vector<iovec>& buffers) {
  std::uint64_t bytes = 0;
  for (const iovec& buffer : buffers) bytes += buffer.iov_len;
  return bytes;
}

// Drops `done` bytes from the front; returns the index of the first buffer that is left.
std::size_t advance(std::vector<iovec>& buffers, std::size_t first, std::uint64_t done) {
  while (first < buffers.size() && done >= buffers[first].iov_len) done -= buffers[first++].iov_len;
  if (done > 0) {
    buffers[first].iov_base = static_cast<std::uint8_t*>(buffers[first].iov_base) + done;
    buffers[first].iov_len -= done;
  }
  return first;
}

// Calls `transfer` (preadv or pwritev) until every buffer is through; false when the file ends before.
template <class Transfer>
bool transfer_all(Transfer transfer, int fd, std::vector<iovec> buffers, std::uint64_t offset,
                  const char* what) {
  const std::uint64_t bytes = total(buffers);
  for (std::size_t first = 0; first < buffers.size();) {
    const int count = static_cast<int>(std::min(kBuffersMax, buffers.size() - first));
    const ssize_t done = transfer(fd, buffers.data() + first, count, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) throw SpillFailed(errno, bytes, std::string(what) + ": " + std::strerror(errno));
    if (done == 0) return false;
    offset += static_cast<std::uint64_t>(done);
    first = advance(buffers, first, static_cast<std::uint64_t>(done));
  }
  return true;
}

}  // namespace

SpillFile::~SpillFile() {
  if (fd_ >= 0) close(fd_);
}

std::vector<std::uint64_t> SpillFile::append(std::span<const SealedPage> pages) {
  std::vector<std::uint64_t> offsets;
  std::vector<iovec> buffers;
  std::uint64_t end = end_;
  for (const SealedPage& page : pages) {
    offsets.push_back(end);
    // pwritev takes no pointer to const, but only reads.
    add_buffers(buffers, const_cast<std::uint8_t*>(page.bytes), page.ranges);
    end += bytes_of(page.ranges);
  }
  const std::uint64_t bytes = end - end_;
  if (end > limit_bytes_) {
    throw SpillFailed(EDQUOT, bytes,
                      "the spill limit of " + std::to_string(limit_bytes_) + " bytes is reached");
  }
  if (!transfer_all(pwritev, fd_, std::move(buffers), end_, "writing pages")) {
    throw SpillFailed(ENOSPC, bytes, "writing pages: nothing was written");
  }
  end_ = end;
  return offsets;
}

void SpillFile::read(std::uint64_t offset, std::uint8_t* page, const std::vector<Range>& ranges) const {
  std::vector<iovec> buffers;
  add_buffers(buffers, page, ranges);
  if (!transfer_all(preadv, fd_, std::move(buffers), offset, "reading a page")) {
    throw PageCorrupt("spilled page at byte " + std::to_string(offset) + ": the file ends inside it");
  }
}

void SpillFile::discard(std::uint64_t offset, std::uint64_t bytes) const noexcept {
#ifdef FALLOC_FL_PUNCH_HOLE
  const std::uint64_t begin = page::round_up(offset, kBlockBytes);
  const std::uint64_t end = (offset + bytes) / kBlockBytes * kBlockBytes;
  if (begin >= end) return;
  // What cannot be freed now goes with the file.
  static_cast<void>(fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(begin),
                              static_cast<off_t>(end - begin)));
#else
  static_cast<void>(offset + bytes);
#endif
}

std::uint64_t SpillFile::bytes_of(const std::vector<Range>& ranges) {
  std::uint64_t bytes = page::kHeaderBytes;
  for (const Range& range : ranges) bytes += range.end - range.begin;
  return bytes;
}

}  // namespace esker::shuffle
