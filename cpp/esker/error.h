// What the kernel throws; the binding turns each into the Python class of the same name.
#pragma once

#include <stdexcept>
#include <string>

namespace esker {

struct PageCorrupt : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct BitmapCorrupt : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct UnsupportedType : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace esker
