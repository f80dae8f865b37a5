// The AND of unions, one union after the other: what a query over several columns does.
//
// As long as many rows are left each union is made and intersected with. Once few are, the groups they lie in
// are kept as a list, and the vectors of what follows are looked up in these groups only.
#pragma once

#include <cstdint>
#include <optional>

#include "esker/bitmap/operations.h"
#include "esker/bitmap/unite_all.h"

namespace esker::bitmap {

class Narrowing {
 public:
  // Begins with the rows of the vectors, at least one; these outlive the narrowing.
  explicit Narrowing(Vectors vectors) : whole_(unite(vectors)), form_(vectors[0]->form()) {}

  // Keeps the rows that at least one of the vectors has, or that none of them has.
  void within(Vectors vectors) { narrow(vectors, true); }
  void outside(Vectors vectors) { narrow(vectors, false); }

  // Rows left.
  std::uint64_t count() const { return whole_ ? whole_->get().count() : count_; }
  std::uint64_t row_count() const { return whole_ ? whole_->get().row_count() : row_count_; }

  // The rows left. The narrowing is of no use after.
  Vector take() &&;

 private:
  // Groups that have rows left, their rows, and which of these were found.
  struct Groups {
    Buffer<std::uint64_t> numbers;
    Buffer<std::uint64_t> words;
    Buffer<std::uint64_t> found;
  };

  void narrow(Vectors vectors, bool inside);
  bool looking_up_is_cheaper(Vectors vectors) const;
  void list_groups();
  void look_up(const Vector& vector);
  void keep_found(bool inside);

  std::optional<Union> whole_;  // until groups are listed
  Form form_;
  std::uint64_t row_count_ = 0;
  std::uint64_t count_ = 0;
  Groups groups_;
};

}  // namespace esker::bitmap
