#include "bind.h"
#include "esker/version.h"

NB_MODULE(_kernel, module) {
  // What a traceback or an interrupted thread still holds at exit is no leak worth a warning on the user's
  // terminal.
  nanobind::set_leak_warnings(false);
  module.doc() =
      "Pages, shuffle, nested rows, key hashes, bitmaps and pairs of objects; reached only through "
      "esker.kernel.";
  module.def("format_version", &esker::kernel_format_version);
  esker::bind::bind_errors(module);
  esker::bind::bind_bitmap(module);
  esker::bind::bind_nested(module);
  esker::bind::bind_page(module);
  esker::bind::bind_rows(module);
  esker::bind::bind_hash(module);
  esker::bind::bind_shuffle(module);
  esker::bind::bind_measure(module);
  esker::bind::bind_gather(module);
  esker::bind::bind_collect(module);
  esker::bind::bind_groups(module);
}
