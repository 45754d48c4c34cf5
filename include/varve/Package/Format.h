//===- Format.h - The package file, byte by byte ---------------*- C++ -*-===//
//
// A package is a zip file that a runtime maps and reads in place.
//
// Members are stored, not compressed. Their names are UTF-8, their date is
// 1980-01-01, and there is nothing in the file that the input does not
// determine: no time, no path, no host. Local headers are padded with one extra
// field (id kPaddingFieldId, zeros) so that the data of kernel files starts at
// a multiple of kKernelAlignment and all other data at one of kMemberAlignment.
// The file is smaller than 4 GiB: no Zip64, no encryption, no data
// descriptors, one disk.
//
//   manifest.json            for people and other tools; a runtime does not
//   need
//                            it
//   <target>/plan            a FlatBuffer of plan.fbs
//   <target>/<kernel file>   as the plan names them: cubin, PTX (with a zero
//                            byte behind it, which the driver wants), ELF
//
// Targets of the package are the folders that have a `plan`, in the order of
// the directory.
//
// Integrity. The archive's comment, which is the end of the file, is
// kCommentSize characters: kCommentPrefix ("varve package 1 xxh3-128 "; the
// number is the format's version) and 32 lower-case hexadecimal digits: the
// XXH3-128 digest, high half first, of all bytes of the file before those
// digits. A reader compares the version first and then the digest, and so
// detects every truncation and every changed bit, wherever it is. The CRC-32 of
// each member is correct too, for other readers of zip files. The digest guards
// against damage, not against forgery: a package is code and comes from someone
// who is trusted to send code.
//
// C++ without LLVM, for the compiler and the runtime alike.
//
//===----------------------------------------------------------------------===//
#ifndef VARVE_PACKAGE_FORMAT_H
#define VARVE_PACKAGE_FORMAT_H

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace varve::package {

/// Version of the container and of plan.fbs. A reader refuses any other.
inline constexpr uint32_t kFormatVersion = 1;
inline constexpr uint32_t kPlanVersion = 1;

inline constexpr size_t kKernelAlignment = 4096;
inline constexpr size_t kMemberAlignment = 64;

/// Weights, pools and pieces of scratch start at multiples of this.
inline constexpr size_t kMemoryAlignment = 256;

inline constexpr std::string_view kManifestName = "manifest.json";
/// Behind `<target>/`.
inline constexpr std::string_view kPlanName = "plan";

inline constexpr std::string_view kCommentPrefix = "varve package 1 xxh3-128 ";
inline constexpr size_t kDigestDigits = 32;
inline constexpr size_t kCommentSize = kCommentPrefix.size() + kDigestDigits;

//===----------------------------------------------------------------------===//
// Zip records, little-endian. (APPNOTE.TXT of PKWARE, sections 4.3.7, 4.3.12,
// 4.3.16)
//===----------------------------------------------------------------------===//

inline constexpr uint32_t kLocalHeaderSignature = 0x04034b50;
inline constexpr size_t kLocalHeaderSize = 30;
inline constexpr uint32_t kDirectoryEntrySignature = 0x02014b50;
inline constexpr size_t kDirectoryEntrySize = 46;
inline constexpr uint32_t kDirectoryEndSignature = 0x06054b50;
inline constexpr size_t kDirectoryEndSize = 22;
/// 1980-01-01, the first day that the format can express.
inline constexpr uint16_t kDosDate = 0x0021;
/// Names are UTF-8.
inline constexpr uint16_t kFlagUtf8 = 0x0800;
/// The extra field that alignment tools of other projects use.
inline constexpr uint16_t kPaddingFieldId = 0xd935;

} // namespace varve::package

#endif // VARVE_PACKAGE_FORMAT_H
