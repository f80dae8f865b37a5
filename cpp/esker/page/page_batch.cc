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
  std::vector<BatchColumn> columns;
  std::vector<ArrowArray> arrays;
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

BatchColumn column_of(const Page& page, std::size_t index, const arrow::ColumnType& type) {
  const Region& region = page.layout->regions[index];
  BatchColumn column;
  if (type.layout == Layout::none) {
    column.null_count = page.row_count;
    return column;
  }
  if (region.validity != 0) column.null_count = null_count(page.bytes + region.validity, page.row_count);
  column.buffers = {column.null_count > 0 ? page.bytes + region.validity : nullptr,
                    page.bytes + region.values, nullptr, nullptr};
  column.buffer_count = 2;
  if (type.layout == Layout::view) {
    // Offsets of views count from the page's first byte.
    column.buffers[2] = page.bytes;
    column.data_bytes = static_cast<std::int64_t>(page.layout->page_bytes);
    column.buffer_count = 4;
  }
  return column;
}

}  // namespace

std::int64_t null_count(const std::uint8_t* validity, std::uint32_t row_count) {
  std::int64_t set = 0;
  std::uint32_t row = 0;
  for (; row + 64 <= row_count; row += 64)
    set += std::popcount(arrow::load<std::uint64_t>(validity + row / 8));
  for (; row < row_count; ++row) set += static_cast<std::int64_t>(arrow::bit_at(validity, row));
  return static_cast<std::int64_t>(row_count) - set;
}

void export_columns(std::vector<BatchColumn> columns, std::uint32_t row_count, std::shared_ptr<void> owner,
                    ArrowArray* out) {
  auto exported = std::make_shared<ExportedBatch>();
  exported->owner = std::move(owner);
  exported->columns = std::move(columns);
  exported->arrays.resize(exported->columns.size());
  for (std::size_t i = 0; i < exported->columns.size(); ++i) {
    BatchColumn& column = exported->columns[i];
    // Views are told the size of what they point into.
    if (column.buffer_count == 4) column.buffers[3] = &column.data_bytes;
    ArrowArray& array = exported->arrays[i];
    array = {};
    array.length = row_count;
    array.null_count = column.null_count;
    array.n_buffers = column.buffer_count;
    array.buffers = column.buffers.data();
    array.release = &release<ArrowArray, ExportedBatch>;
    array.private_data = new std::shared_ptr<ExportedBatch>(exported);
    exported->pointers.push_back(&array);
  }
  *out = {};
  out->length = row_count;
  out->n_buffers = 1;
  out->buffers = exported->no_validity.data();
  out->n_children = static_cast<std::int64_t>(exported->arrays.size());
  out->children = exported->pointers.data();
  out->release = &release<ArrowArray, ExportedBatch>;
  out->private_data = new std::shared_ptr<ExportedBatch>(exported);
}

void export_batch(const Page& page, const PageSchema& schema, std::shared_ptr<void> owner, ArrowArray* out) {
  std::vector<BatchColumn> columns;
  columns.reserve(schema.columns().size());
  for (std::size_t i = 0; i < schema.columns().size(); ++i) {
    columns.push_back(column_of(page, i, schema.columns()[i]));
  }
  export_columns(std::move(columns), page.row_count, std::move(owner), out);
}

void export_schema(const PageSchema& schema, ArrowSchema* out, Types types) {
  auto exported = std::make_shared<ExportedSchema>();
  exported->types = schema.columns();
  exported->fields.resize(exported->types.size());
  for (std::size_t i = 0; i < exported->types.size(); ++i) {
    ArrowSchema& field = exported->fields[i];
    field = {};
    const arrow::ColumnType& type = exported->types[i];
    field.format = types == Types::held ? type.format.c_str() : type.came_format.c_str();
    field.name = type.name.c_str();
    field.flags = type.nullable ? ARROW_FLAG_NULLABLE : 0;
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
