#include "esker/objects/entry.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "esker/error.h"

namespace esker::objects {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{256} << 10;
constexpr std::uint64_t kCountMax = 0xFFFF'FFFF;

struct Header {
  std::uint32_t key_bytes;
  std::uint32_t pairs;
  std::uint64_t value_bytes;
};
static_assert(sizeof(Header) == 16);

Bytes items_of(Bytes block) {
  if (block.empty() || block[0] != kItemsBlock) throw ObjectsCorrupt("a stored entry has no items");
  return block.subspan(1);
}

}  // namespace

EntryView first_entry(Bytes data) {
  Header header{};
  if (data.size() < sizeof(header)) throw ObjectsCorrupt("a stored entry ends within its header");
  std::memcpy(&header, data.data(), sizeof(header));
  const std::size_t left = data.size() - sizeof(header);
  if (header.key_bytes > left || header.value_bytes > left - header.key_bytes) {
    throw ObjectsCorrupt("a stored entry is longer than its section");
  }
  const Bytes keys = data.subspan(sizeof(header), header.key_bytes);
  const Bytes values =
      data.subspan(sizeof(header) + header.key_bytes, static_cast<std::size_t>(header.value_bytes));
  return {items_of(keys), items_of(values), header.pairs, sizeof(header) + keys.size() + values.size()};
}

void EntryWriter::begin(std::uint64_t key_bytes, std::uint64_t pairs, std::uint64_t value_bytes) {
  // Callers write before they hold so much; a key that large is refused when it is added.
  if (key_bytes + 1 > kCountMax || pairs > kCountMax)
    throw InvalidInput("an entry has more than 4 Gi keys or pairs");
  const Header header{static_cast<std::uint32_t>(key_bytes + 1), static_cast<std::uint32_t>(pairs),
                      value_bytes + 1};
  put({reinterpret_cast<const std::uint8_t*>(&header), sizeof(header)});
}

void EntryWriter::put(Bytes bytes) {
  if (bytes.size() >= kBufferBytes) {
    flush();
    write_all(bytes);
    return;
  }
  buffer_.put(bytes.data(), bytes.size());
  if (buffer_.size() >= kBufferBytes) flush();
}

void EntryWriter::flush() {
  write_all(buffer_.bytes());
  buffer_.clear();
}

void EntryWriter::write_all(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t done = write(fd_, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) throw SpillFailed(errno, bytes.size(), std::string("write: ") + std::strerror(errno));
    written_ += static_cast<std::uint64_t>(done);
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
}

}  // namespace esker::objects
