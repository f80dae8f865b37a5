#include "esker/shuffle/strategies/radix.h"

#include "esker/shuffle/page_managers/radix.h"
#include "esker/shuffle/strategies/entries.h"

namespace esker::shuffle {

std::span<const Entry> radix() {
  static constexpr Entry all[] = {
      {{"radix", "radix", true, 0}, &make<Radix<RadixPages>>},
  };
  return all;
}

}  // namespace esker::shuffle
