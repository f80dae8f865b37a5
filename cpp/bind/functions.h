// Partition functions by the names they have in Python.
#pragma once

#include <stdexcept>
#include <string>

#include "esker/shuffle/partition_function.h"

namespace esker::bind {

inline shuffle::Function function_named(const std::string& name) {
  if (name == "hash") return shuffle::Function::hash;
  if (name == "modulo") return shuffle::Function::modulo;
  if (name == "id") return shuffle::Function::id;
  throw std::invalid_argument("no partition function '" + name + "'; there is: hash, modulo, id");
}

}  // namespace esker::bind
