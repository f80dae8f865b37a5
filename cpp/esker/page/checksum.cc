#include "esker/page/checksum.h"

#include <array>
#include <cstring>

namespace esker::page {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F6'3B78;  // reflected

using Table = std::array<std::array<std::uint32_t, 256>, 8>;

// Table k advances a byte over k more bytes of zeros, so that eight bytes are folded at once.
constexpr Table make_table() {
  Table table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    table[0][i] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t i = 0; i < 256; ++i) {
      table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xFF];
    }
  }
  return table;
}

constexpr Table kTable = make_table();

std::uint32_t crc_plain(std::uint32_t crc, const unsigned char* data, std::size_t size) {
  for (; size >= 8; data += 8, size -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data, 8);
    word ^= crc;
    crc = 0;
    for (std::size_t k = 0; k < 8; ++k) crc ^= kTable[7 - k][(word >> (8 * k)) & 0xFF];
  }
  for (; size > 0; ++data, --size) crc = (crc >> 8) ^ kTable[0][(crc ^ *data) & 0xFF];
  return crc;
}

#if defined(__x86_64__) && defined(__GNUC__)
#define ESKER_CRC_INSTRUCTION 1

__attribute__((target("sse4.2"))) std::uint32_t crc_instruction(std::uint32_t crc, const unsigned char* data,
                                                                std::size_t size) {
  std::uint64_t wide = crc;
  for (; size >= 8; data += 8, size -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data, 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  crc = static_cast<std::uint32_t>(wide);
  for (; size > 0; ++data, --size) crc = __builtin_ia32_crc32qi(crc, *data);
  return crc;
}

bool has_instruction() {
  static const bool found = __builtin_cpu_supports("sse4.2") != 0;
  return found;
}
#endif

}  // namespace

std::uint32_t crc32c(std::uint32_t crc, const void* data, std::size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(data);
#ifdef ESKER_CRC_INSTRUCTION
  if (has_instruction()) return ~crc_instruction(~crc, bytes, size);
#endif
  return ~crc_plain(~crc, bytes, size);
}

}  // namespace esker::page
