//===- JsonScanner.cpp - JSON of a known structure, front to back ---------===//

#include "lib/Checkpoint/JsonScanner.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ConvertUTF.h"

namespace varve {

llvm::Error JsonScanner::error(const llvm::Twine &message) const {
  return llvm::createStringError(llvm::inconvertibleErrorCode(),
                                 message + " at byte " + llvm::Twine(position));
}

void JsonScanner::skipSpace() {
  while (position < text.size() &&
         (text[position] == ' ' || text[position] == '\n' ||
          text[position] == '\t' || text[position] == '\r'))
    ++position;
}

bool JsonScanner::consumeIf(char c) {
  skipSpace();
  if (position == text.size() || text[position] != c)
    return false;
  ++position;
  return true;
}

llvm::Error JsonScanner::readSequence(char open, char close,
                                      llvm::function_ref<llvm::Error()> item) {
  if (!consumeIf(open))
    return error(llvm::Twine("expected '") + llvm::Twine(open) + "'");
  if (consumeIf(close))
    return llvm::Error::success();
  do {
    if (llvm::Error e = item())
      return e;
  } while (consumeIf(','));
  if (!consumeIf(close))
    return error(llvm::Twine("expected ',' or '") + llvm::Twine(close) + "'");
  return llvm::Error::success();
}

llvm::Error JsonScanner::readObject(
    llvm::function_ref<llvm::Error(llvm::StringRef)> member) {
  return readSequence('{', '}', [&]() -> llvm::Error {
    llvm::Expected<llvm::StringRef> key = readString();
    if (!key)
      return key.takeError();
    if (!consumeIf(':'))
      return error("expected ':'");
    return member(*key);
  });
}

llvm::Error JsonScanner::readArray(llvm::function_ref<llvm::Error()> element) {
  return readSequence('[', ']', element);
}

llvm::Expected<llvm::StringRef> JsonScanner::readString() {
  if (!consumeIf('"'))
    return error("expected a string");
  size_t begin = position;
  for (; position < text.size(); ++position) {
    char c = text[position];
    if (c == '"')
      return text.slice(begin, position++);
    if (c == '\\')
      return unescape(begin);
    if (static_cast<unsigned char>(c) < 0x20)
      return error("unescaped control character in a string");
  }
  return error("unterminated string");
}

/// The rest of a string that has an escape at `position`.
llvm::Expected<llvm::StringRef> JsonScanner::unescape(size_t begin) {
  llvm::SmallString<64> value(text.slice(begin, position));
  while (position < text.size()) {
    char c = text[position++];
    if (c == '"')
      return saver.save(value.str());
    if (static_cast<unsigned char>(c) < 0x20)
      return error("unescaped control character in a string");
    if (c != '\\') {
      value.push_back(c);
      continue;
    }
    if (position == text.size())
      break;
    char kind = text[position++];
    static constexpr llvm::StringLiteral letters = "\"\\/bfnrt";
    static constexpr llvm::StringLiteral meanings = "\"\\/\b\f\n\r\t";
    if (size_t i = letters.find(kind); i != llvm::StringRef::npos) {
      value.push_back(meanings[i]);
      continue;
    }
    if (kind != 'u')
      return error("unknown escape in a string");
    llvm::Expected<uint32_t> unit = readHex4();
    if (!unit)
      return unit.takeError();
    uint32_t codePoint = *unit;
    if (codePoint >= 0xD800 && codePoint < 0xDC00 &&
        text.substr(position).starts_with("\\u")) {
      position += 2;
      llvm::Expected<uint32_t> low = readHex4();
      if (!low)
        return low.takeError();
      if (*low < 0xDC00 || *low > 0xDFFF)
        return error("lone surrogate in a string");
      codePoint = 0x10000 + ((codePoint - 0xD800) << 10) + (*low - 0xDC00);
    }
    char buffer[UNI_MAX_UTF8_BYTES_PER_CODE_POINT];
    char *end = buffer;
    // Refuses lone surrogates.
    if (!llvm::ConvertCodePointToUTF8(codePoint, end))
      return error("lone surrogate in a string");
    value.append(buffer, end);
  }
  return error("unterminated string");
}

llvm::Expected<uint32_t> JsonScanner::readHex4() {
  uint32_t value = 0;
  llvm::StringRef digits = text.substr(position, 4);
  if (digits.size() != 4 || !llvm::all_of(digits, llvm::isHexDigit) ||
      digits.getAsInteger(16, value))
    return error("expected four hexadecimal digits");
  position += 4;
  return value;
}

llvm::Expected<uint64_t> JsonScanner::readUnsigned(uint64_t max) {
  skipSpace();
  llvm::StringRef digits = text.substr(position).take_while(llvm::isDigit);
  llvm::StringRef rest = text.substr(position + digits.size()).take_front(1);
  if (digits.empty() || rest == "." || rest == "e" || rest == "E")
    return error("expected an integer that is not negative");
  if (digits.size() > 1 && digits.front() == '0')
    return error("expected a number without leading zeros");
  uint64_t value = 0;
  if (digits.getAsInteger(10, value) || value > max)
    return error("expected a number of at most " + llvm::Twine(max));
  position += digits.size();
  return value;
}

namespace {

/// Removes one or more digits; false if there are none.
bool consumeDigits(llvm::StringRef &text) {
  size_t count = text.take_while(llvm::isDigit).size();
  text = text.drop_front(count);
  return count != 0;
}

/// A number as RFC 8259 spells it. (llvm::json also takes ".5" and "+5".)
bool isNumber(llvm::StringRef word) {
  word.consume_front("-");
  if (!word.consume_front("0") && !consumeDigits(word))
    return false;
  if (word.consume_front(".") && !consumeDigits(word))
    return false;
  if (word.consume_front_insensitive("e")) {
    if (!word.consume_front("+"))
      word.consume_front("-");
    if (!consumeDigits(word))
      return false;
  }
  return word.empty();
}

} // namespace

/// null, true, false or a number.
llvm::Error JsonScanner::skipScalar() {
  llvm::StringRef word = text.substr(position).take_while([](char c) {
    return llvm::isAlnum(c) || c == '+' || c == '-' || c == '.';
  });
  if (word != "null" && word != "true" && word != "false" && !isNumber(word))
    return error("expected a value");
  position += word.size();
  return llvm::Error::success();
}

llvm::Error JsonScanner::skipValue(unsigned maxDepth) {
  skipSpace();
  if (position == text.size())
    return error("expected a value");
  char c = text[position];
  if (c == '"')
    return readString().takeError();
  if (c != '{' && c != '[')
    return skipScalar();
  if (maxDepth == 0)
    return error("too deeply nested value");
  if (c == '[')
    return readArray([&] { return skipValue(maxDepth - 1); });
  return readObject([&](llvm::StringRef) { return skipValue(maxDepth - 1); });
}

llvm::Error JsonScanner::expectEnd() {
  skipSpace();
  if (position != text.size())
    return error("expected the end of the text");
  return llvm::Error::success();
}

} // namespace varve
