//===- Package.cpp - A compiled model in one file -------------------------===//

#include "runtime/Package/Package.h"
#include "runtime/Error.h"
#include "runtime/Package/PlanReader.h"
#include "varve/Package/Format.h"
#include <algorithm>
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace varve::runtime {

namespace format = varve::package;

namespace {

/// What every version's comment begins with.
constexpr std::string_view anyPrefix = "varve package ";

std::string_view textOf(Bytes bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

/// The version is compared first: the digest of another version may be another
/// one.
void checkDigest(const std::string &path, Bytes bytes) {
  if (bytes.size() < format::kCommentSize + format::kDirectoryEndSize)
    fail("{}: expected a package, got a file of {} bytes; it was cut short or "
         "is something else",
         inQuotes(path), bytes.size());
  std::string_view comment = textOf(bytes.last(format::kCommentSize));
  if (!comment.starts_with(format::kCommentPrefix)) {
    // Wherever a whole comment begins, its text tells the version.
    std::string_view tail =
        textOf(bytes.last(std::min<size_t>(bytes.size(), 256)));
    size_t at = tail.rfind(anyPrefix);
    if (at != std::string_view::npos) {
      std::string_view rest = tail.substr(at + anyPrefix.size());
      std::string_view version = rest.substr(0, rest.find(' '));
      if (version != std::to_string(format::kFormatVersion) &&
          std::all_of(version.begin(), version.end(),
                      [](char c) { return c >= '0' && c <= '9'; }))
        fail("{}: the package has format version {}, but this runtime reads "
             "version {}; compile the model with the Varve that this runtime "
             "belongs to",
             inQuotes(path), version, format::kFormatVersion);
    }
    if (textOf(bytes.first(2)) != "PK")
      fail("{}: expected a package (a zip archive), got a file that begins "
           "with other bytes",
           inQuotes(path));
    fail("{}: the package is damaged: expected '{}...' at the end of its {} "
         "bytes; it was cut short or changed, so copy or compile it again",
         inQuotes(path), format::kCommentPrefix, bytes.size());
  }
  XXH128_hash_t hash =
      XXH3_128bits(bytes.data(), bytes.size() - format::kDigestDigits);
  std::string actual = fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
  std::string_view expected = comment.substr(format::kCommentPrefix.size());
  if (actual != expected)
    fail("{}: the package is damaged: expected the digest {}, got {}; copy or "
         "compile it again",
         inQuotes(path), inQuotes(expected), inQuotes(actual));
}

/// Whether a file can be what its format says.
void checkFile(const std::string &place, const KernelFile &file, Bytes bytes) {
  constexpr std::string_view elfMagic = "\x7f"
                                        "ELF";
  constexpr uint16_t x86Machine = 62, cudaMachine = 190;
  auto damaged = [&](const char *expected) {
    fail("{}: kernel file {}: expected {}; compile the model again", place,
         inQuotes(file.member), expected);
  };
  if (file.format == FileFormat::Ptx) {
    if (bytes.empty() || bytes.back() != 0)
      damaged("PTX with a zero byte behind it");
    return;
  }
  bool isElf = bytes.size() >= 64 && textOf(bytes).starts_with(elfMagic);
  uint16_t machine = isElf ? bytes[18] | bytes[19] << 8 : 0;
  if (file.format == FileFormat::Cubin && machine != cudaMachine)
    damaged("an NVIDIA binary");
  if (file.format == FileFormat::SharedObject && machine != x86Machine)
    damaged("a shared object for x86-64");
}

} // namespace

Package::Package(MappedFile mapped, DigestCheck check)
    : file(std::move(mapped)) {
  if (check == DigestCheck::Verify)
    checkDigest(getPath(), file.getBytes());
  archive = ZipArchive::read(getPath(), file.getBytes());
  std::string suffix = "/" + std::string(format::kPlanName);
  for (const auto &[name, bytes] : archive.getMembers())
    if (name.ends_with(suffix) && name.find('/') == name.size() - suffix.size())
      targets.push_back(name.substr(0, name.size() - suffix.size()));
  if (targets.empty())
    fail("{}: the package has a plan for no target; compile the model again",
         inQuotes(getPath()));
}

std::shared_ptr<const Package> Package::open(const std::string &path) {
  return std::shared_ptr<const Package>(
      new Package(MappedFile::open(path), DigestCheck::Verify));
}

std::shared_ptr<const Package> Package::ofBytes(std::string name,
                                                std::vector<uint8_t> bytes,
                                                DigestCheck check) {
  return std::shared_ptr<const Package>(new Package(
      MappedFile::ofBytes(std::move(name), std::move(bytes)), check));
}

Plan Package::loadPlan(const std::string &target) const {
  std::string place =
      fmt::format("{}: target {}", inQuotes(getPath()), inQuotes(target));
  Plan plan = readPlan(
      place, archive.get(target + "/" + std::string(format::kPlanName)));
  if (plan.target != target)
    fail("{}: the plan is for target {}; compile the model again", place,
         inQuotes(plan.target));
  verifyPlan(place, plan);
  for (const KernelFile &kernels : plan.files)
    checkFile(place, kernels, archive.get(kernels.member));
  return plan;
}

std::vector<Bytes> Package::getFiles(const Plan &plan) const {
  std::vector<Bytes> files;
  for (const KernelFile &kernels : plan.files)
    files.push_back(archive.get(kernels.member));
  return files;
}

} // namespace varve::runtime
