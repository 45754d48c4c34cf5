// Attention of queries with 64 heads over gathered keys, which are also the
// values: Q and O [queries * 64, 512], pool [rows, 512], list [queries, $KEYS$] row
// numbers; bf16, sums in f32, the scale is a factor of the logits. $KEYS$ is a
// multiple of 128.
//
// Persistent blocks, one query at a time, keys in tiles of 64. The scores of a
// tile are computed once: by "even" and "odd" in turn, each with a softmax of its
// own and its half of the output's columns. Probabilities, the factor for what was
// summed before, maxima and sums go to the other role through rings. Scores of the
// next tile are under way while the products of the last are.
!q = !tile.buffer<64x512xbf16, #tile.shared<swizzle = 128>>
!kv = !tile.buffer<64x512xbf16, #tile.shared<swizzle = 128>>
!half = !tile.buffer<64x256xbf16, #tile.shared<swizzle = 128>>
!p = !tile.buffer<64x64xbf16, #tile.shared<swizzle = 128>>
!row = !tile.buffer<64xf32>
!qs = !tile.ring<1, !q>
!kvs = !tile.ring<2, !kv>
!ps = !tile.ring<1, !p, !row, !row, !row>
tile.func @attention_bf16(%q: !tile.view<?x512xbf16>, %pool: !tile.view<?x512xbf16>,
                          %list: !tile.view<?x$KEYS$xi32>, %out: !tile.view<?x512xbf16>,
                          %scale: f32)
    grid affine_map<()[s0] -> (s0)> [resident] warps 12
    strategy #tile.strategy<dot = wgmma, staged_store = true> {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %c192 = arith.constant 192 : index
  %c256 = arith.constant 256 : index
  %last = arith.constant $LAST$ : index
  %queries = tile.dim %list, 0 : !tile.view<?x$KEYS$xi32>
  %first = tile.program_id 0
  %step = tile.num_programs 0
  %log2e = arith.constant 1.44269504 : f32
  %scale2 = arith.mulf %scale, %log2e : f32
  %factor = tile.splat %scale2 : tensor<64xf32>
  %factors = tile.splat %scale2 : tensor<64x64xf32>
  %low = arith.constant dense<-1.0e30> : tensor<64xf32>
  %none = arith.constant dense<0.0> : tensor<64xf32>
  %zero = arith.constant dense<0.0> : tensor<64x64xf32>
  %zero_out = arith.constant dense<0.0> : tensor<64x256xf32>
  tile.pipeline [#tile.role<"load", warps = 4, registers = 72>,
                 #tile.role<"even", warps = 4, registers = 216>,
                 #tile.role<"odd", warps = 4, registers = 216>] {
    %qring = tile.ring : !qs
    %kvring = tile.ring : !kvs
    %forth = tile.ring : !ps
    %back = tile.ring : !ps
    scf.for %t = %first to %queries step %step {
      %m0 = arith.muli %t, %c64 : index
      tile.on "load" {
        %s, %b = tile.acquire %qring : !qs
        tile.copy %q[%m0, %c0] to %b : !tile.view<?x512xbf16> to !q
        tile.commit %qring, %s : !qs
      }
      tile.on "load" {
        %rows0 = tile.load %list[%t, %c0] : !tile.view<?x$KEYS$xi32> -> tensor<64xi32>
        %s0, %b0 = tile.acquire %kvring : !kvs
        tile.gather_copy %pool[%rows0] at %c0 to %b0
            : !tile.view<?x512xbf16>, tensor<64xi32> to !kv
        tile.commit %kvring, %s0 : !kvs
      }
      tile.on "load" {
        %rows1 = tile.load %list[%t, %c64] : !tile.view<?x$KEYS$xi32> -> tensor<64xi32>
        %s1, %b1 = tile.acquire %kvring : !kvs
        tile.gather_copy %pool[%rows1] at %c0 to %b1
            : !tile.view<?x512xbf16>, tensor<64xi32> to !kv
        tile.commit %kvring, %s1 : !kvs
      }
      // The first scores.
      %eqs, %eq, %es, %eb, %e0 = tile.on "even"
          -> !tile.slot, !q, !tile.slot, !kv, tensor<64x64xf32> {
        %s, %b = tile.receive %qring : !qs
        %s0, %b0 = tile.receive %kvring : !kvs
        %qk = tile.dot %b, %b0 transposed, %zero : !q, !kv -> tensor<64x64xf32>
        tile.yield %s, %b, %s0, %b0, %qk
            : !tile.slot, !q, !tile.slot, !kv, tensor<64x64xf32>
      }
      %oqs, %oq, %os0, %ob0, %os1, %ob1, %o0 = tile.on "odd"
          -> !tile.slot, !q, !tile.slot, !kv, !tile.slot, !kv, tensor<64x64xf32> {
        %s, %b = tile.receive %qring : !qs
        %s0, %b0 = tile.receive %kvring : !kvs
        %s1, %b1 = tile.receive %kvring : !kvs
        %qk = tile.dot %b, %b1 transposed, %zero : !q, !kv -> tensor<64x64xf32>
        tile.yield %s, %b, %s0, %b0, %s1, %b1, %qk
            : !tile.slot, !q, !tile.slot, !kv, !tile.slot, !kv, tensor<64x64xf32>
      }
      %esn, %ebn, %en, %em, %el, %eo, %os0n, %ob0n, %os1n, %ob1n, %oz, %om, %ol, %oo =
          scf.for %k = %c0 to %last step %c128
          iter_args(%esi = %es, %ebi = %eb, %ei = %e0, %emi = %low, %eli = %none,
                    %eoi = %zero_out, %os0i = %os0, %ob0i = %ob0, %os1i = %os1,
                    %ob1i = %ob1, %oi = %o0, %omi = %low, %oli = %none, %ooi = %zero_out)
          -> (!tile.slot, !kv, tensor<64x64xf32>, tensor<64xf32>, tensor<64xf32>,
              tensor<64x256xf32>, !tile.slot, !kv, !tile.slot, !kv, tensor<64x64xf32>,
              tensor<64xf32>, tensor<64xf32>, tensor<64x256xf32>) {
        %k2 = arith.addi %k, %c128 : index
        %k3 = arith.addi %k, %c192 : index
        // Scores of the even tile are there or under way: softmax, and their part of the
        // output.
        %em_, %el_, %eo_ = tile.on "even"
            -> tensor<64xf32>, tensor<64xf32>, tensor<64x256xf32> {
          %tile_max = tile.reduce max %ei along 1 : tensor<64x64xf32>
          %mn = arith.maximumf %emi, %tile_max : tensor<64xf32>
          %md = arith.subf %emi, %mn : tensor<64xf32>
          %mx = arith.mulf %md, %factor : tensor<64xf32>
          %alpha = math.exp2 %mx : tensor<64xf32>
          %base = arith.mulf %mn, %factor : tensor<64xf32>
          %bases = tile.broadcast %base dims [0] : tensor<64xf32> -> tensor<64x64xf32>
          %negated = arith.negf %bases : tensor<64x64xf32>
          %exponents = math.fma %ei, %factors, %negated : tensor<64x64xf32>
          %p = math.exp2 %exponents : tensor<64x64xf32>
          %sum = tile.reduce sum %p along 1 : tensor<64x64xf32>
          %ln = math.fma %eli, %alpha, %sum : tensor<64xf32>
          %pb = arith.truncf %p : tensor<64x64xf32> to tensor<64x64xbf16>
          %w, %wp, %wa, %wm, %ws = tile.acquire %forth : !ps
          tile.write %pb, %wp : tensor<64x64xbf16> -> !p
          tile.write %alpha, %wa : tensor<64xf32> -> !row
          tile.write %mn, %wm : tensor<64xf32> -> !row
          tile.write %sum, %ws : tensor<64xf32> -> !row
          tile.commit %forth, %w : !ps
          %v = tile.subbuffer %ebi[0, 0] : !kv -> !half
          %oa_factors = tile.broadcast %alpha dims [0] : tensor<64xf32> -> tensor<64x256xf32>
          %oa = arith.mulf %eoi, %oa_factors : tensor<64x256xf32>
          %on = tile.dot %pb, %v, %oa : tensor<64x64xbf16>, !half -> tensor<64x256xf32>
          tile.yield %mn, %ln, %on : tensor<64xf32>, tensor<64xf32>, tensor<64x256xf32>
        }
        %om_, %ol_, %oo_ = tile.on "odd"
            -> tensor<64xf32>, tensor<64xf32>, tensor<64x256xf32> {
          %r, %rp, %ra, %rm, %rs = tile.receive %forth : !ps
          %alpha0 = tile.read %ra : !row -> tensor<64xf32>
          %m1 = tile.read %rm : !row -> tensor<64xf32>
          %sum0 = tile.read %rs : !row -> tensor<64xf32>
          %l1 = math.fma %oli, %alpha0, %sum0 : tensor<64xf32>
          %v0 = tile.subbuffer %ob0i[0, 256] : !kv -> !half
          %ob_factors = tile.broadcast %alpha0 dims [0] : tensor<64xf32> -> tensor<64x256xf32>
          %ob = arith.mulf %ooi, %ob_factors : tensor<64x256xf32>
          %o1 = tile.dot %rp, %v0, %ob : !p, !half -> tensor<64x256xf32>
          %tile_max = tile.reduce max %oi along 1 : tensor<64x64xf32>
          %mn = arith.maximumf %m1, %tile_max : tensor<64xf32>
          %md = arith.subf %m1, %mn : tensor<64xf32>
          %mx = arith.mulf %md, %factor : tensor<64xf32>
          %alpha = math.exp2 %mx : tensor<64xf32>
          %base = arith.mulf %mn, %factor : tensor<64xf32>
          %bases = tile.broadcast %base dims [0] : tensor<64xf32> -> tensor<64x64xf32>
          %negated = arith.negf %bases : tensor<64x64xf32>
          %exponents = math.fma %oi, %factors, %negated : tensor<64x64xf32>
          %p = math.exp2 %exponents : tensor<64x64xf32>
          %sum = tile.reduce sum %p along 1 : tensor<64x64xf32>
          %ln = math.fma %l1, %alpha, %sum : tensor<64xf32>
          %pb = arith.truncf %p : tensor<64x64xf32> to tensor<64x64xbf16>
          %w, %wp, %wa, %wm, %ws = tile.acquire %back : !ps
          tile.write %pb, %wp : tensor<64x64xbf16> -> !p
          tile.write %alpha, %wa : tensor<64xf32> -> !row
          tile.write %mn, %wm : tensor<64xf32> -> !row
          tile.write %sum, %ws : tensor<64xf32> -> !row
          tile.commit %back, %w : !ps
          %v1 = tile.subbuffer %ob1i[0, 256] : !kv -> !half
          tile.release %forth, %r : !ps
          tile.release %kvring, %os0i : !kvs
          %oc_factors = tile.broadcast %alpha dims [0] : tensor<64xf32> -> tensor<64x256xf32>
          %oc = arith.mulf %o1, %oc_factors : tensor<64x256xf32>
          %on = tile.dot %pb, %v1, %oc : tensor<64x64xbf16>, !half -> tensor<64x256xf32>
          tile.yield %mn, %ln, %on : tensor<64xf32>, tensor<64xf32>, tensor<64x256xf32>
        }
        // The odd tile's part of the even role's columns.
        %es1_, %eb1_, %er_, %em2_, %el2_, %eo2_ = tile.on "even"
            -> !tile.slot, !kv, !tile.slot, tensor<64xf32>, tensor<64xf32>, tensor<64x256xf32> {
          %s1, %b1 = tile.receive %kvring : !kvs
          %r, %rp, %ra, %rm, %rs = tile.receive %back : !ps
          %alpha = tile.read %ra : !row -> tensor<64xf32>
          %mn = tile.read %rm : !row -> tensor<64xf32>
          %sum = tile.read %rs : !row -> tensor<64xf32>
          %ln = math.fma %el_, %alpha, %sum : tensor<64xf32>
          tile.release %kvring, %esi : !kvs
          %v = tile.subbuffer %b1[0, 0] : !kv -> !half
          %oa_factors = tile.broadcast %alpha dims [0] : tensor<64xf32> -> tensor<64x256xf32>
          %oa = arith.mulf %eo_, %oa_factors : tensor<64x256xf32>
          %on = tile.dot %rp, %v, %oa : !p, !half -> tensor<64x256xf32>
          tile.yield %s1, %b1, %r, %mn, %ln, %on
              : !tile.slot, !kv, !tile.slot, tensor<64xf32>, tensor<64xf32>, tensor<64x256xf32>
        }
        tile.on "load" {
          %rowse = tile.load %list[%t, %k2] : !tile.view<?x$KEYS$xi32> -> tensor<64xi32>
          %se, %be = tile.acquire %kvring : !kvs
          tile.gather_copy %pool[%rowse] at %c0 to %be
              : !tile.view<?x512xbf16>, tensor<64xi32> to !kv
          tile.commit %kvring, %se : !kvs
        }
        %es2_, %eb2_, %en_ = tile.on "even" -> !tile.slot, !kv, tensor<64x64xf32> {
          %s2, %b2 = tile.receive %kvring : !kvs
          %qk = tile.dot %eq, %b2 transposed, %zero : !q, !kv -> tensor<64x64xf32>
          tile.release %back, %er_ : !ps
          tile.release %kvring, %es1_ : !kvs
          tile.yield %s2, %b2, %qk : !tile.slot, !kv, tensor<64x64xf32>
        }
        tile.on "odd" {
          tile.release %kvring, %os1i : !kvs
        }
        tile.on "load" {
          %rowso = tile.load %list[%t, %k3] : !tile.view<?x$KEYS$xi32> -> tensor<64xi32>
          %so, %bo = tile.acquire %kvring : !kvs
          tile.gather_copy %pool[%rowso] at %c0 to %bo
              : !tile.view<?x512xbf16>, tensor<64xi32> to !kv
          tile.commit %kvring, %so : !kvs
        }
        %os2_, %ob2_, %os3_, %ob3_, %on_ = tile.on "odd"
            -> !tile.slot, !kv, !tile.slot, !kv, tensor<64x64xf32> {
          %s2, %b2 = tile.receive %kvring : !kvs
          %s3, %b3 = tile.receive %kvring : !kvs
          %qk = tile.dot %oq, %b3 transposed, %zero : !q, !kv -> tensor<64x64xf32>
          tile.yield %s2, %b2, %s3, %b3, %qk
              : !tile.slot, !kv, !tile.slot, !kv, tensor<64x64xf32>
        }
        scf.yield %es2_, %eb2_, %en_, %em2_, %el2_, %eo2_, %os2_, %ob2_, %os3_, %ob3_,
            %on_, %om_, %ol_, %oo_
            : !tile.slot, !kv, tensor<64x64xf32>, tensor<64xf32>, tensor<64xf32>,
              tensor<64x256xf32>, !tile.slot, !kv, !tile.slot, !kv, tensor<64x64xf32>,
              tensor<64xf32>, tensor<64xf32>, tensor<64x256xf32>
      }
      // The last pair of tiles.
      // Scores of the even tile are there or under way: softmax, and their part of the
      // output.
      %em9, %el9, %eo9 = tile.on "even"
          -> tensor<64xf32>, tensor<64xf32>, tensor<64x256xf32> {
        %tile_max = tile.reduce max %en along 1 : tensor<64x64xf32>
        %mn = arith.maximumf %em, %tile_max : tensor<64xf32>
        %md = arith.subf %em, %mn : tensor<64xf32>
        %mx = arith.mulf %md, %factor : tensor<64xf32>
        %alpha = math.exp2 %mx : tensor<64xf32>
        %base = arith.mulf %mn, %factor : tensor<64xf32>
        %bases = tile.broadcast %base dims [0] : tensor<64xf32> -> tensor<64x64xf32>
        %negated = arith.negf %bases : tensor<64x64xf32>
        %exponents = math.fma %en, %factors, %negated : tensor<64x64xf32>
        %p = math.exp2 %exponents : tensor<64x64xf32>
        %sum = tile.reduce sum %p along 1 : tensor<64x64xf32>
        %ln = math.fma %el, %alpha, %sum : tensor<64xf32>
        %pb = arith.truncf %p : tensor<64x64xf32> to tensor<64x64xbf16>
        %w, %wp, %wa, %wm, %ws = tile.acquire %forth : !ps
        tile.write %pb, %wp : tensor<64x64xbf16> -> !p
        tile.write %alpha, %wa : tensor<64xf32> -> !row
        tile.write %mn, %wm : tensor<64xf32> -> !row
        tile.write %sum, %ws : tensor<64xf32> -> !row
        tile.commit %forth, %w : !ps
        %v = tile.subbuffer %ebn[0, 0] : !kv -> !half
        %oa_factors = tile.broadcast %alpha dims [0] : tensor<64xf32> -> tensor<64x256xf32>
        %oa = arith.mulf %eo, %oa_factors : tensor<64x256xf32>
        %on = tile.dot %pb, %v, %oa : tensor<64x64xbf16>, !half -> tensor<64x256xf32>
        tile.yield %mn, %ln, %on : tensor<64xf32>, tensor<64xf32>, tensor<64x256xf32>
      }
      %om9, %ol9, %oo9 = tile.on "odd"
          -> tensor<64xf32>, tensor<64xf32>, tensor<64x256xf32> {
        %r, %rp, %ra, %rm, %rs = tile.receive %forth : !ps
        %alpha0 = tile.read %ra : !row -> tensor<64xf32>
        %m1 = tile.read %rm : !row -> tensor<64xf32>
        %sum0 = tile.read %rs : !row -> tensor<64xf32>
        %l1 = math.fma %ol, %alpha0, %sum0 : tensor<64xf32>
        %v0 = tile.subbuffer %ob0n[0, 256] : !kv -> !half
        %ob_factors = tile.broadcast %alpha0 dims [0] : tensor<64xf32> -> tensor<64x256xf32>
        %ob = arith.mulf %oo, %ob_factors : tensor<64x256xf32>
        %o1 = tile.dot %rp, %v0, %ob : !p, !half -> tensor<64x256xf32>
        %tile_max = tile.reduce max %oz along 1 : tensor<64x64xf32>
        %mn = arith.maximumf %m1, %tile_max : tensor<64xf32>
        %md = arith.subf %m1, %mn : tensor<64xf32>
        %mx = arith.mulf %md, %factor : tensor<64xf32>
        %alpha = math.exp2 %mx : tensor<64xf32>
        %base = arith.mulf %mn, %factor : tensor<64xf32>
        %bases = tile.broadcast %base dims [0] : tensor<64xf32> -> tensor<64x64xf32>
        %negated = arith.negf %bases : tensor<64x64xf32>
        %exponents = math.fma %oz, %factors, %negated : tensor<64x64xf32>
        %p = math.exp2 %exponents : tensor<64x64xf32>
        %sum = tile.reduce sum %p along 1 : tensor<64x64xf32>
        %ln = math.fma %l1, %alpha, %sum : tensor<64xf32>
        %pb = arith.truncf %p : tensor<64x64xf32> to tensor<64x64xbf16>
        %w, %wp, %wa, %wm, %ws = tile.acquire %back : !ps
        tile.write %pb, %wp : tensor<64x64xbf16> -> !p
        tile.write %alpha, %wa : tensor<64xf32> -> !row
        tile.write %mn, %wm : tensor<64xf32> -> !row
        tile.write %sum, %ws : tensor<64xf32> -> !row
        tile.commit %back, %w : !ps
        %v1 = tile.subbuffer %ob1n[0, 256] : !kv -> !half
        tile.release %forth, %r : !ps
        tile.release %kvring, %os0n : !kvs
        %oc_factors = tile.broadcast %alpha dims [0] : tensor<64xf32> -> tensor<64x256xf32>
        %oc = arith.mulf %o1, %oc_factors : tensor<64x256xf32>
        %on = tile.dot %pb, %v1, %oc : tensor<64x64xbf16>, !half -> tensor<64x256xf32>
        tile.yield %mn, %ln, %on : tensor<64xf32>, tensor<64xf32>, tensor<64x256xf32>
      }
      // The odd tile's part of the even role's columns.
      %es19, %eb19, %er9, %em29, %el29, %eo29 = tile.on "even"
          -> !tile.slot, !kv, !tile.slot, tensor<64xf32>, tensor<64xf32>, tensor<64x256xf32> {
        %s1, %b1 = tile.receive %kvring : !kvs
        %r, %rp, %ra, %rm, %rs = tile.receive %back : !ps
        %alpha = tile.read %ra : !row -> tensor<64xf32>
        %mn = tile.read %rm : !row -> tensor<64xf32>
        %sum = tile.read %rs : !row -> tensor<64xf32>
        %ln = math.fma %el9, %alpha, %sum : tensor<64xf32>
        tile.release %kvring, %esn : !kvs
        %v = tile.subbuffer %b1[0, 0] : !kv -> !half
        %oa_factors = tile.broadcast %alpha dims [0] : tensor<64xf32> -> tensor<64x256xf32>
        %oa = arith.mulf %eo9, %oa_factors : tensor<64x256xf32>
        %on = tile.dot %rp, %v, %oa : !p, !half -> tensor<64x256xf32>
        tile.yield %s1, %b1, %r, %mn, %ln, %on
            : !tile.slot, !kv, !tile.slot, tensor<64xf32>, tensor<64xf32>, tensor<64x256xf32>
      }
      tile.on "even" {
        tile.release %back, %er9 : !ps
        tile.release %kvring, %es19 : !kvs
        tile.release %qring, %eqs : !qs
      }
      tile.on "odd" {
        tile.release %kvring, %os1n : !kvs
        tile.release %qring, %oqs : !qs
      }
      tile.on "even" {
        %one = arith.constant dense<1.0> : tensor<64xf32>
        %inverse = arith.divf %one, %el29 : tensor<64xf32>
        %inverses = tile.broadcast %inverse dims [0] : tensor<64xf32> -> tensor<64x256xf32>
        %y = arith.mulf %eo29, %inverses : tensor<64x256xf32>
        %yb = arith.truncf %y : tensor<64x256xf32> to tensor<64x256xbf16>
        tile.store %yb, %out[%m0, %c0] : tensor<64x256xbf16> -> !tile.view<?x512xbf16>
      }
      tile.on "odd" {
        %one = arith.constant dense<1.0> : tensor<64xf32>
        %inverse = arith.divf %one, %ol9 : tensor<64xf32>
        %inverses = tile.broadcast %inverse dims [0] : tensor<64xf32> -> tensor<64x256xf32>
        %y = arith.mulf %oo9, %inverses : tensor<64x256xf32>
        %yb = arith.truncf %y : tensor<64x256xf32> to tensor<64x256xbf16>
        tile.store %yb, %out[%m0, %c256] : tensor<64x256xbf16> -> !tile.view<?x512xbf16>
      }
    }
  }
  tile.return
}
