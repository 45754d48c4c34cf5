//===- RowFormat.h - Numbers to the bytes of a pool's row ------*- C++ -*-===//
//
// Kernels write and read pools themselves; this is for rows that come from the
// host, and for those that it looks at.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_RUNTIME_SESSION_ROWFORMAT_H
#define VARVE_RUNTIME_SESSION_ROWFORMAT_H

#include "runtime/Package/Plan.h"
#include <span>
#include <string>
#include <vector>

namespace varve::runtime {

/// How a pool stores a row: segments of codes, in order, and behind them the
/// scales of the scaled ones, padded to whole words of four bytes.
class RowFormat {
public:
  /// Reads the text of a plan's pool, such as "448 x f8E4M3FN scaled 64 x
  /// f8E8M0FNU, 64 x bf16". Throws for anything else, and if the rows would not
  /// have the pool's bytes.
  explicit RowFormat(const Pool &pool);

  /// Elements of a row.
  int64_t getWidth() const { return width; }
  int64_t getBytes() const { return bytes; }
  /// Whether some of a row's elements are of that kind.
  bool has(Element element) const;

  /// Rounds a row of getWidth() numbers to the format and writes its bytes. A
  /// scale is the power of two that `varve.quantize` takes.
  void encode(std::span<const float> row, std::span<uint8_t> out) const;

  /// The getWidth() numbers that the getBytes() bytes of a row stand for.
  void decode(std::span<const uint8_t> bytes, std::span<float> out) const;

private:
  struct Segment {
    int64_t size = 0;
    Element element = Element::F32;
    int64_t block = 0; ///< elements of a scale; 0: unscaled
    Element scale = Element::F8E8M0;
  };
  void encodeScaled(const Segment &segment, std::span<const float> numbers,
                    uint8_t *codes, uint8_t *scales) const;

  std::vector<Segment> segments;
  int64_t width = 0, bytes = 0, codeBytes = 0;
};

} // namespace varve::runtime

#endif // VARVE_RUNTIME_SESSION_ROWFORMAT_H
