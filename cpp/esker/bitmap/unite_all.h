// The wide OR's result before it is encoded: an operand itself, or a vector of whatever encoding it fell out
// in.
#pragma once

#include <optional>
#include <span>

#include "esker/bitmap/operations.h"

namespace esker::bitmap {

class Union {
 public:
  explicit Union(const Vector* operand) : operand_(operand) {}
  explicit Union(Vector made) : made_(std::move(made)) {}
  // One word for each group, whose number of literals is known.
  Union(Vector dense, std::uint64_t literals) : made_(std::move(dense)), literals_(literals) {}

  const Vector& get() const { return operand_ != nullptr ? *operand_ : *made_; }
  // The vector in the form of a result.
  Vector take(Form form) &&;

 private:
  const Vector* operand_ = nullptr;
  std::optional<Vector> made_;
  std::optional<std::uint64_t> literals_;
};

// About how many words an accumulator or a merge goes through for a vector.
std::uint64_t union_weight(const Vector& vector);

// Whether two vectors, neither dense, are united sooner in one word for each group than run by run.
bool accumulating_is_cheaper(const Vector& left, const Vector& right);

// ORs two vectors in one word for each group.
Union accumulate(const Vector& left, const Vector& right);

// ORs vectors of one row count, at least one, or InvalidInput.
Union unite(Vectors vectors);

}  // namespace esker::bitmap
