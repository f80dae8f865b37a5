#include "esker/version.h"

namespace esker {

int kernel_format_version() noexcept {
  return 1;
}

}  // namespace esker
