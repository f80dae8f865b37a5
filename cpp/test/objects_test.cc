// Items, logs and key tables: what is put in comes out, and damaged bytes are refused.
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "check.h"
#include "esker/error.h"
#include "esker/objects/byte_log.h"
#include "esker/objects/entry.h"
#include "esker/objects/item.h"
#include "esker/objects/key_map.h"

namespace {

using namespace esker::objects;

Bytes bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string string_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void test_integers_come_back_in_their_least_form() {
  for (int bits = 0; bits < 64; ++bits) {
    for (const std::int64_t near : {-1, 0, 1}) {
      const auto value =
          static_cast<std::int64_t>((std::uint64_t{1} << bits) + static_cast<std::uint64_t>(near));
      for (const std::int64_t signed_value :
           {value, static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(value))}) {
        Buffer out;
        put_integer(out, signed_value);
        Reader reader(out.bytes());
        const Item item = reader.next();
        CHECK(item.tag == kInteger64 && item.integer == signed_value && reader.done());
      }
    }
  }
  Buffer small;
  put_integer(small, 47);
  CHECK(small.size() == 1);
}

void test_integers_hash_as_in_python() {
  const auto hash_of = [](std::int64_t value) {
    Buffer out;
    put_integer(out, value);
    return stable_hash(out.bytes());
  };
  CHECK(hash_of(7) == 7);
  CHECK(hash_of(-1) == -2);
  CHECK(hash_of(-2) == -2);
  CHECK(hash_of((std::int64_t{1} << 61) - 1) == 0);
  CHECK(hash_of(INT64_MIN) == -4);
  Buffer big;  // 2^64
  big.put(kBigInteger);
  big.put_length(17);
  big.put("10000000000000000", 17);
  CHECK(stable_hash(big.bytes()) == 8);
}

void test_texts_hash_alike_however_long_their_length_is_written() {
  Buffer usual;
  put_text(usual, bytes_of("Oslo"));
  Buffer wordy;
  wordy.put(kText);
  wordy.put_length(4);
  wordy.put("Oslo", 4);
  CHECK(stable_hash(usual.bytes()) == stable_hash(wordy.bytes()));
}

void test_logs_keep_what_was_appended() {
  Chance chance(5);
  BlockPool pool;
  std::vector<ByteLog> logs(50);
  std::vector<std::string> expected(50);
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t log = chance.below(50);
    const std::string piece(chance.below(i % 500 == 0 ? 200'000 : 30), static_cast<char>('a' + i % 26));
    logs[log].append(pool, bytes_of(piece));
    expected[log] += piece;
  }
  std::size_t total = 0;
  for (std::size_t log = 0; log < 50; ++log) {
    std::string found;
    logs[log].visit([&found](Bytes piece) { found += string_of(piece); });
    CHECK(found == expected[log] && logs[log].size() == found.size());
    total += found.size();
  }
  CHECK(pool.held_bytes() < 2 * total);
}

void test_keys_are_numbered_by_first_appearance() {
  Chance chance(6);
  BlockPool pool;
  KeyMap keys;
  std::map<std::string, std::uint32_t> expected;
  for (int i = 0; i < 100'000; ++i) {
    // Now in order, as columns of a row are, now at random.
    const std::uint64_t number = i % 1000 < 500 ? static_cast<std::uint64_t>(i % 500) : chance.below(20'000);
    Buffer key;
    if (number % 2 == 0) {
      put_integer(key, static_cast<std::int64_t>(number));
    } else {
      put_text(key, bytes_of("key " + std::to_string(number)));
    }
    const auto known = expected.emplace(string_of(key.bytes()), static_cast<std::uint32_t>(expected.size()));
    const KeyMap::Found found = keys.find_or_add(pool, key.bytes(), key.bytes());
    CHECK(found.is_new == known.second && found.number == known.first->second);
  }
  CHECK(keys.size() == expected.size());
  for (const auto& [key, number] : expected) CHECK(string_of(keys[number].canonical_form()) == key);
}

void test_an_entry_is_read_as_it_was_written() {
  char path[] = "/tmp/esker-objects-test-XXXXXX";
  const int fd = mkstemp(path);
  CHECK(fd >= 0);
  unlink(path);
  EntryWriter writer(fd);
  const std::string value(300'000, 'v');
  writer.begin(3, 7, value.size());
  writer.begin_block();
  writer.put(bytes_of("key"));
  writer.begin_block();
  writer.put(bytes_of(value));
  writer.flush();
  std::vector<std::uint8_t> data(static_cast<std::size_t>(writer.written()));
  CHECK(pread(fd, data.data(), data.size(), 0) == static_cast<ssize_t>(data.size()));
  close(fd);
  const EntryView entry = first_entry(Bytes(data));
  CHECK(string_of(entry.keys) == "key" && string_of(entry.values) == value &&
        entry.entry_bytes == data.size());
  for (const std::size_t size : {std::size_t{0}, std::size_t{15}, data.size() - 1}) {
    bool refused = false;
    try {
      first_entry(Bytes(data).first(size));
    } catch (const esker::ObjectsCorrupt&) {
      refused = true;
    }
    CHECK(refused);
  }
}

// Whatever the bytes are: an item, or ObjectsCorrupt, and never a look beyond the end.
void test_damaged_items_are_refused() {
  Chance chance(7);
  std::uint64_t refused = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::vector<std::uint8_t> noise(chance.below(40));
    for (std::uint8_t& byte : noise) {
      byte = static_cast<std::uint8_t>(chance.below(3) == 0 ? 0xC0 + chance.below(20) : chance.next());
    }
    try {
      Reader reader{Bytes(noise)};
      while (!reader.done()) reader.skip();
      if (!noise.empty()) is_canonical(Bytes(noise));
    } catch (const esker::ObjectsCorrupt&) {
      ++refused;
    }
    try {
      if (!noise.empty()) stable_hash(Bytes(noise));
    } catch (const esker::ObjectsCorrupt&) {
      ++refused;
    }
  }
  CHECK(refused > 10'000);
}

}  // namespace

int main() {
  test_integers_come_back_in_their_least_form();
  test_integers_hash_as_in_python();
  test_texts_hash_alike_however_long_their_length_is_written();
  test_logs_keep_what_was_appended();
  test_keys_are_numbered_by_first_appearance();
  test_an_entry_is_read_as_it_was_written();
  test_damaged_items_are_refused();
}
