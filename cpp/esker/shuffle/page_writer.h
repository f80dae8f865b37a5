// Copies rows of a morsel into space claimed on a page.
#pragma once

#include <cstdint>
#include <vector>

#include "esker/page/page.h"
#include "esker/shuffle/claim.h"
#include "esker/shuffle/morsel.h"

namespace esker::shuffle {

struct WriteOptions {
  bool streaming = true;  // whole lines past the cache
  // A column of all rows after the other, bytes of long values last (source 002, 3.3.5: fewer memory pages in
  // use at a time). False: row by row.
  bool two_step = true;
};

// Writes every claim; claim.first counts in `rows`, which refer to rows of the morsel.
void write(const std::vector<Claim>& claims, const Morsel& morsel, const std::uint16_t* rows,
           const page::PageSchema& schema, const WriteOptions& options);

// Writes one claim row by row.
void write_rows(const Claim& claim, const Morsel& morsel, const std::uint16_t* rows,
                const page::PageSchema& schema);

// Says that the rows of the claims are in place.
void publish(const std::vector<Claim>& claims);

}  // namespace esker::shuffle
