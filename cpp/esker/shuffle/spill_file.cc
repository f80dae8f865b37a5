#include "esker/shuffle/spill_file.h"

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

std::vector<iovec> buffers_of(std::uint8_t* page, const std::vector<Range>& ranges) {
  std::vector<iovec> buffers{{page, page::kHeaderBytes}};
  for (const Range& range : ranges) {
    auto* const begin = page + range.begin;
    auto& last = buffers.back();
    if (static_cast<std::uint8_t*>(last.iov_base) + last.iov_len == begin) {
      last.iov_len += range.end - range.begin;
    } else {
      buffers.push_back({begin, static_cast<std::size_t>(range.end - range.begin)});
    }
  }
  return buffers;
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

std::uint64_t SpillFile::append(const std::uint8_t* page, const std::vector<Range>& ranges) {
  // pwritev takes no pointer to const, but only reads.
  const auto buffers = buffers_of(const_cast<std::uint8_t*>(page), ranges);
  const std::uint64_t bytes = total(buffers);
  if (end_ + bytes > limit_bytes_) {
    throw SpillFailed(EDQUOT, bytes,
                      "the spill limit of " + std::to_string(limit_bytes_) + " bytes is reached");
  }
  const std::uint64_t offset = end_;
  if (!transfer_all(pwritev, fd_, buffers, offset, "writing a page")) {
    throw SpillFailed(ENOSPC, bytes, "writing a page: nothing was written");
  }
  end_ += bytes;
  return offset;
}

void SpillFile::read(std::uint64_t offset, std::uint8_t* page, const std::vector<Range>& ranges) const {
  if (!transfer_all(preadv, fd_, buffers_of(page, ranges), offset, "reading a page")) {
    throw PageCorrupt("spilled page at byte " + std::to_string(offset) + ": the file ends inside it");
  }
}

}  // namespace esker::shuffle
