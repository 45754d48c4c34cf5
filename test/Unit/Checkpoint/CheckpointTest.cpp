//===- CheckpointTest.cpp - Opening folders -------------------------------===//

#include "lib/Checkpoint/Checkpoint.h"
#include "test/Unit/Checkpoint/CheckpointTestUtils.h"

using namespace varve;
using namespace varve::test;

namespace {

StoredTensors tensors(std::initializer_list<llvm::StringRef> names) {
  StoredTensors result;
  for (llvm::StringRef name : names)
    result[name.str()] = {"U8", {2}, "ab"};
  return result;
}

constexpr llvm::StringLiteral indexName = "model.safetensors.index.json";

class CheckpointTest : public testing::Test {
protected:
  void writeIndex(llvm::StringRef map) {
    folder.write(
        indexName,
        ("{\"metadata\":{\"total_size\":[{}, -1e3, 0.5E-07, 10, null]},"
         "\"weight_map\":" +
         map + "}")
            .str());
  }

  std::string errorOf() {
    auto checkpoint = Checkpoint::open(folder.path());
    return checkpoint ? "no error" : errorText(checkpoint.takeError(), folder);
  }

  std::vector<std::string> namesOf(llvm::StringRef path) {
    auto checkpoint = Checkpoint::open(path);
    if (!checkpoint) {
      ADD_FAILURE() << llvm::toString(checkpoint.takeError());
      return {};
    }
    std::vector<std::string> names;
    for (const CheckpointTensor &tensor : (*checkpoint)->getTensors())
      names.push_back(tensor.getName().str());
    return names;
  }

  TestFolder folder;
};

using Names = std::vector<std::string>;

TEST_F(CheckpointTest, OpensASingleFile) {
  folder.write("model.safetensors", fileBytes(tensors({"a", "b"})));
  folder.write("other.safetensors", "not read");
  EXPECT_EQ(namesOf(folder.path()), Names({"a", "b"}));
  EXPECT_EQ(namesOf(folder.path("model.safetensors")), Names({"a", "b"}));
}

TEST_F(CheckpointTest, OpensTheOnlyOtherFile) {
  folder.write("reference.safetensors", "not read");
  folder.write("weights.safetensors", fileBytes(tensors({"a"})));
  EXPECT_EQ(namesOf(folder.path()), Names({"a"}));
  folder.write("more.safetensors", "");
  EXPECT_EQ(errorOf(),
            "folder: expected 'model.safetensors.index.json' beside the 2 "
            "files such as 'more.safetensors', to say which of them make up "
            "the checkpoint");
}

TEST_F(CheckpointTest, OpensShards) {
  folder.write("s1", fileBytes(tensors({"a", "c"})));
  folder.write("s2", fileBytes(tensors({"b"})));
  folder.write("unlisted.safetensors", "not read");
  writeIndex(R"({"a":"s1","b":"s2","c":"s1"})");
  EXPECT_EQ(namesOf(folder.path()), Names({"a", "c", "b"}));
  auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(static_cast<bool>(checkpoint));
  EXPECT_EQ((*checkpoint)->getFiles().size(), 2u);
  EXPECT_EQ((*checkpoint)->getBytes(), 6u);
}

TEST_F(CheckpointTest, RefusesAFolderWithoutCheckpoint) {
  EXPECT_EQ(errorOf(), "folder: expected a checkpoint: 'model.safetensors' or "
                       "'model.safetensors.index.json'");
  auto checkpoint = Checkpoint::open(folder.path("none"));
  EXPECT_EQ(errorText(checkpoint.takeError(), folder),
            "none: No such file or directory");
}

TEST_F(CheckpointTest, ReportsAllMissingShards) {
  folder.write("s1", fileBytes(tensors({"a"})));
  writeIndex(R"({"a":"s1","b":"s2","c":"s3","d":"s3"})");
  EXPECT_EQ(errorOf(), "model.safetensors.index.json: files that the index "
                       "names are missing; was the download complete?\n"
                       "  's2', for 1 tensors\n"
                       "  's3', for 2 tensors");
}

TEST_F(CheckpointTest, ReportsIndexAndShardsThatDisagree) {
  folder.write("s1", fileBytes(tensors({"a", "b", "extra"})));
  folder.write("s2", fileBytes(tensors({"c"})));
  writeIndex(R"({"a":"s1","b":"s2","c":"s2"})");
  EXPECT_EQ(errorOf(),
            "model.safetensors.index.json: the index does not match the files\n"
            "  tensor 'b' is in 's1' but should be in 's2'\n"
            "  tensor 'extra' is in 's1' but not in the index\n"
            "  tensor 'b' should be in 's2' but is not");
}

TEST_F(CheckpointTest, CutsLongReports) {
  folder.write("s1", fileBytes(tensors({})));
  std::string map;
  for (int i = 0; i < 13; ++i)
    map += (i ? ",\"t" : "\"t") + std::to_string(i) + "\":\"s1\"";
  writeIndex("{" + map + "}");
  std::string text = errorOf();
  EXPECT_NE(text.find("'t9' should"), std::string::npos);
  EXPECT_EQ(text.find("'t10' should"), std::string::npos);
  EXPECT_NE(text.find("\n  ... and 3 more"), std::string::npos);
}

TEST_F(CheckpointTest, RefusesShardsOutsideTheFolder) {
  for (llvm::StringRef shard : {"../s1", "/etc/passwd", "sub/s1", "..", ".", "",
                                "a\\\\b", "a\\u0000b"}) {
    writeIndex(("{\"a\":\"" + shard + "\"}").str());
    std::string text = errorOf();
    EXPECT_NE(text.find("model.safetensors.index.json: tensor 'a': expected "
                        "the name of a file beside the index but got '"),
              std::string::npos)
        << text;
  }
}

TEST_F(CheckpointTest, RefusesBrokenIndices) {
  writeIndex(R"({"a":"s1","a":"s1"})");
  EXPECT_EQ(errorOf(), "model.safetensors.index.json: tensor 'a' appears "
                       "twice at byte 88");
  writeIndex("[]");
  EXPECT_EQ(errorOf(), "model.safetensors.index.json: expected '{' at byte 70");
  writeIndex("{\"a\":1}");
  EXPECT_EQ(errorOf(),
            "model.safetensors.index.json: expected a string at byte 75");
  folder.write(indexName, "{}");
  EXPECT_EQ(errorOf(),
            "model.safetensors.index.json: expected a member 'weight_map'");
  folder.write(indexName, R"({"weight_map":{},"weight_map":{}})");
  EXPECT_EQ(errorOf(), "model.safetensors.index.json: 'weight_map' appears "
                       "twice at byte 30");
  folder.write(indexName, "{\"metadata\":" + std::string(1'000'000, '['));
  EXPECT_EQ(errorOf(), "model.safetensors.index.json: too deeply nested value "
                       "at byte 76");
  folder.write(indexName, "{\"metadata\":nul}");
  EXPECT_EQ(errorOf(),
            "model.safetensors.index.json: expected a value at byte 12");
  for (llvm::StringRef number :
       {"01", ".5", "+5", "1.", "-", "1e", "1e+", "0x1", "nan", "1-", "--1"}) {
    folder.write(indexName,
                 ("{\"metadata\":" + number + ",\"weight_map\":{}}").str());
    EXPECT_EQ(errorOf(),
              "model.safetensors.index.json: expected a value at byte 12")
        << number.str();
  }
  folder.write(indexName, "\xFE");
  EXPECT_EQ(errorOf(), "model.safetensors.index.json: not UTF-8 at byte 0");
}

TEST_F(CheckpointTest, NamesTheBrokenShard) {
  folder.write("s1", "broken");
  writeIndex(R"({"a":"s1"})");
  EXPECT_EQ(errorOf(), "s1: expected the header's length in the first 8 bytes "
                       "but the file has 6");
}

} // namespace
