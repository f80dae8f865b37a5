// From the words an operation wrote to a vector of the form that is wanted.
#pragma once

#include <cstdint>

#include "esker/bitmap/buffer.h"
#include "esker/bitmap/dense_words.h"
#include "esker/bitmap/vector.h"
#include "esker/bitmap/wah.h"

namespace esker::bitmap {

// WAH64 words that were written.
Vector settle(wah::Written<Groups63> written, std::uint64_t row_count, Form form);

// One word for each group.
Vector settle(Buffer<std::uint64_t> groups, Tally tally, std::uint64_t row_count, Form form);

// A vector as the result; of an operand a copy.
Vector settle(const Vector& vector, Form form);
Vector settle(Vector&& vector, Form form);

// A dense vector of which so many groups are literals.
Vector settle(Vector&& dense, std::uint64_t literals, Form form);

Vector none(std::uint64_t row_count, Form form);

// WAH64 words from one word for each group.
Buffer<std::uint64_t> wah64_words(std::span<const std::uint64_t> groups);

}  // namespace esker::bitmap
