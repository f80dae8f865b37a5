// Python's error classes, handed to the extension once at import; the extension itself imports nothing.
#pragma once

#include <nanobind/nanobind.h>

#include "esker/error.h"

namespace esker::bind {

void bind_errors(nanobind::module_& module);
// For functions that the interpreter calls itself.
void raise_corrupt(const ObjectsCorrupt& error);
void bind_page(nanobind::module_& module);
void bind_shuffle(nanobind::module_& module);
void bind_hash(nanobind::module_& module);
void bind_bitmap(nanobind::module_& module);
void bind_rows(nanobind::module_& module);
void bind_nested(nanobind::module_& module);
void bind_measure(nanobind::module_& module);
void bind_gather(nanobind::module_& module);
void bind_collect(nanobind::module_& module);
void bind_groups(nanobind::module_& module);

}  // namespace esker::bind
