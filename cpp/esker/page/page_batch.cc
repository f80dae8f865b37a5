#include "esker/page/page_batch.h"

#include <array>
#include <bit>

#include "esker/arrow/batch_view.h"

namespace esker::page {
namespace {

using arrow::Layout;

// Everything the exported structs point to. The batch and each column hold it, since a consumer may move a
// column out and release it later than the batch.
struct ExportedBatch {
  std::shared_ptr<void> owner;
  std::int64_t heap_bytes = 0;
  std::vector<std::array<const void*, 4>> buffers;
  std::vector<ArrowArray> columns;
  std::vector<ArrowArray*> pointers;
  std::array<const void*, 1> no_validity{nullptr};
};

struct ExportedSchema {
  std::vector<arrow::ColumnType> types;
  std::vector<ArrowSchema> fields;
  std::vector<ArrowSchema*> pointers;
};

template <class Struct, class Exported>
void release(Struct* exported) {
  for (std::int64_t i = 0; i < exported->n_children; ++i) {
    Struct* child = exported->children[i];
    if (child->release != nullptr) child->release(child);
  }
  exported->release = nullptr;
  delete static_cast<std::shared_ptr<Exported>*>(exported->private_data);
}

std::int64_t null_count(const std::uint8_t* validity, std::uint32_t row_count) {
  std::int64_t set = 0;
  std::uint32_t row = 0;
  for (; row + 64 <= row_count; row += 64)
    set += std::popcount(arrow::load<std::uint64_t>(validity + row / 8));
  for (; row < row_count; ++row) set += static_cast<std::int64_t>(arrow::bit_at(validity, row));
  return static_cast<std::int64_t>(row_count) - set;
}

void fill_column(const Page& page, std::size_t index, const arrow::ColumnType& type,
                 const std::shared_ptr<ExportedBatch>& exported) {
  const Region& region = page.layout->regions[index];
  auto& buffers = exported->buffers[index];
  ArrowArray& column = exported->columns[index];
  column = {};
  column.length = page.row_count;
  column.buffers = buffers.data();
  column.release = &release<ArrowArray, ExportedBatch>;
  column.private_data = new std::shared_ptr<ExportedBatch>(exported);
  if (type.layout == Layout::none) {
    column.null_count = page.row_count;
    return;
  }
  if (region.validity != 0) column.null_count = null_count(page.bytes + region.validity, page.row_count);
  buffers = {column.null_count > 0 ? page.bytes + region.validity : nullptr, page.bytes + region.values,
             nullptr, nullptr};
  column.n_buffers = 2;
  if (type.layout == Layout::view) {
    // Offsets of views count from the page's first byte.
    buffers[2] = page.bytes;
    buffers[3] = &exported->heap_bytes;
    column.n_buffers = 4;
  }
}

}  // namespace

void export_batch(const Page& page, const PageSchema& schema, std::shared_ptr<void> owner, ArrowArray* out) {
  const std::size_t count = schema.columns().size();
  auto exported = std::make_shared<ExportedBatch>();
  exported->owner = std::move(owner);
  exported->heap_bytes = static_cast<std::int64_t>(page.layout->page_bytes);
  exported->buffers.resize(count);
  exported->columns.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    fill_column(page, i, schema.columns()[i], exported);
    exported->pointers.push_back(&exported->columns[i]);
  }
  *out = {};
  out->length = page.row_count;
  out->n_buffers = 1;
  out->buffers = exported->no_validity.data();
  out->n_children = static_cast<std::int64_t>(count);
  out->children = exported->pointers.data();
  out->release = &release<ArrowArray, ExportedBatch>;
  out->private_data = new std::shared_ptr<ExportedBatch>(exported);
}

void export_schema(const PageSchema& schema, ArrowSchema* out) {
  auto exported = std::make_shared<ExportedSchema>();
  exported->types = schema.columns();
  exported->fields.resize(exported->types.size());
  for (std::size_t i = 0; i < exported->types.size(); ++i) {
    ArrowSchema& field = exported->fields[i];
    field = {};
    field.format = exported->types[i].format.c_str();
    field.name = exported->types[i].name.c_str();
    field.flags = exported->types[i].nullable ? ARROW_FLAG_NULLABLE : 0;
    field.release = &release<ArrowSchema, ExportedSchema>;
    field.private_data = new std::shared_ptr<ExportedSchema>(exported);
    exported->pointers.push_back(&field);
  }
  *out = {};
  out->format = "+s";
  out->name = "";
  out->n_children = static_cast<std::int64_t>(exported->fields.size());
  out->children = exported->pointers.data();
  out->release = &release<ArrowSchema, ExportedSchema>;
  out->private_data = new std::shared_ptr<ExportedSchema>(exported);
}

}  // namespace esker::page
