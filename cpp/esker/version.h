#pragma once

namespace esker {

// Bumped whenever a page, a bitmap or the key hash changes its bytes.
int kernel_format_version() noexcept;

}  // namespace esker
