// CRC-32C (Castagnoli): finds every burst of up to 32 bits. It guards against damage, not against an enemy.
#pragma once

#include <cstddef>
#include <cstdint>

namespace esker::page {

// Continues `crc` (0 to begin with) over `size` bytes.
std::uint32_t crc32c(std::uint32_t crc, const void* data, std::size_t size);

}  // namespace esker::page
