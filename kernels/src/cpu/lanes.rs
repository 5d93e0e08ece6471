//! SHA-256 of several messages at once: each operation is done for all lanes, which the compiler turns into vector
//! instructions of the widest kind that the processor has.

use multiversion::multiversion;

/// Number of messages.
pub(super) const LANES: usize = 16;

/// A word of each message.
pub(super) type Words = [u32; LANES];

/// The constants of the rounds (FIPS 180-4, 4.2.2).
const ROUND_CONSTANTS: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

/// Compresses a block of each message into its state. The blocks are used up.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl+avx2+avx", "x86_64+avx2+avx"))]
pub(super) fn compress(state: &mut [Words; 8], block: &mut [Words; 16]) {
    let mut work = *state;
    for eight in 0..8 {
        if eight >= 2 {
            for word in 0..8 {
                extend(block, (eight * 8 + word) & 15);
            }
        }
        // The registers a to h move by one place each round, which takes no instruction when written out.
        let constants = &ROUND_CONSTANTS[eight * 8..][..8];
        let first = (eight * 8) & 15;
        round::<0>(&mut work, &block[first], constants[0]);
        round::<1>(&mut work, &block[first + 1], constants[1]);
        round::<2>(&mut work, &block[first + 2], constants[2]);
        round::<3>(&mut work, &block[first + 3], constants[3]);
        round::<4>(&mut work, &block[first + 4], constants[4]);
        round::<5>(&mut work, &block[first + 5], constants[5]);
        round::<6>(&mut work, &block[first + 6], constants[6]);
        round::<7>(&mut work, &block[first + 7], constants[7]);
    }
    for (state, work) in state.iter_mut().zip(&work) {
        for lane in 0..LANES {
            state[lane] = state[lane].wrapping_add(work[lane]);
        }
    }
}

/// Computes the next word of the message schedule in the place of the one 16 words before.
#[inline(always)]
fn extend(block: &mut [Words; 16], at: usize) {
    let (early, middle, late) = (block[(at + 1) & 15], block[(at + 9) & 15], block[(at + 14) & 15]);
    for lane in 0..LANES {
        let sigma_0 = early[lane].rotate_right(7) ^ early[lane].rotate_right(18) ^ (early[lane] >> 3);
        let sigma_1 = late[lane].rotate_right(17) ^ late[lane].rotate_right(19) ^ (late[lane] >> 10);
        let sum = sigma_0.wrapping_add(middle[lane]).wrapping_add(sigma_1);
        block[at][lane] = block[at][lane].wrapping_add(sum);
    }
}

/// One round, the `N`th of eight: register a is at place −N.
#[inline(always)]
fn round<const N: usize>(work: &mut [Words; 8], word: &Words, constant: u32) {
    let at = |register: usize| (register + 8 - N) & 7;
    for lane in 0..LANES {
        let (a, b, c) = (work[at(0)][lane], work[at(1)][lane], work[at(2)][lane]);
        let (e, f, g, h) = (work[at(4)][lane], work[at(5)][lane], work[at(6)][lane], work[at(7)][lane]);
        let sigma_1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let first =
            h.wrapping_add(sigma_1).wrapping_add(g ^ (e & (f ^ g))).wrapping_add(constant).wrapping_add(word[lane]);
        let sigma_0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let second = sigma_0.wrapping_add((a & b) | (c & (a | b)));
        work[at(3)][lane] = work[at(3)][lane].wrapping_add(first);
        work[at(7)][lane] = first.wrapping_add(second);
    }
}
