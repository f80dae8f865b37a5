// What is asked of vectors. All vectors of a call have one row count, or InvalidInput.
//
// Results have the form of the first vector. Of an automatic form they are in the encoding that is fastest to
// make and to go on with (dense or WAH64, by the rule of `speed`), whatever the profile; `encoded` chooses
// again.
#pragma once

#include <cstdint>
#include <span>

#include "esker/bitmap/dense_words.h"
#include "esker/bitmap/vector.h"

namespace esker::bitmap {

using Vectors = std::span<const Vector* const>;

// Throws InvalidInput unless both have as many rows.
void check_row_counts(const Vector& left, const Vector& right);

Vector combine(Operation operation, const Vector& left, const Vector& right);
std::uint64_t intersect_count(const Vector& left, const Vector& right);
Vector invert(const Vector& vector);

// At least one vector, or InvalidInput.
Vector unite_all(Vectors vectors);
Vector intersect_all(Vectors vectors);

// Rows set in at least `least` of the vectors; `least` is at least 1.
Vector threshold(Vectors vectors, std::uint64_t least);

// The rows whose number is at least `low` and at most `high`. Slice i holds the rows with bit i of their
// number set; bits above the last slice are zero. At least one slice.
Vector between(Vectors slices, std::uint64_t low, std::uint64_t high);

// The AND of the unions of each range of vectors.
Vector ranges(std::span<const Vectors> bounds);
std::uint64_t count_ranges(std::span<const Vectors> bounds);

}  // namespace esker::bitmap
