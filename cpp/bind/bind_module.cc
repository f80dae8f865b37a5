#include "bind.h"
#include "esker/version.h"

NB_MODULE(_kernel, module) {
  module.doc() = "Pages, shuffle, key hashes and bitmaps; reached only through esker.kernel.";
  module.def("format_version", &esker::kernel_format_version);
  esker::bind::bind_errors(module);
  esker::bind::bind_bitmap(module);
}
