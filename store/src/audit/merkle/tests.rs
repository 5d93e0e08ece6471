//! The tree against the vectors of Certificate Transparency (RFC 6962 and 9162 define the same tree), and against the
//! recursive definition.

use std::collections::HashMap;
use std::io;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::*;

/// The leaves of the reference tree of Certificate Transparency.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

/// The root over the first 1 to 8 leaves.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/// Nodes in memory, at the places of the file.
#[derive(Default)]
struct Nodes(HashMap<u64, TreeHash>, Frontier, u64);

impl Nodes {
    fn of(leaves: &[TreeHash]) -> Self {
        let mut nodes = Self::default();
        for leaf in leaves {
            let (map, count) = (&mut nodes.0, &mut nodes.2);
            nodes.1.push(*leaf, |hash| {
                map.insert(*count, *hash);
                *count += 1;
            });
        }
        assert_eq!(nodes.2, node_count(leaves.len() as u64));
        nodes
    }
}

impl NodeSource for Nodes {
    fn node(&self, level: u32, index: u64) -> io::Result<TreeHash> {
        Ok(self.0[&place(level, index)])
    }
}

fn hash(text: &str) -> TreeHash {
    hex::decode(text).expect("hex").try_into().expect("32 bytes")
}

/// The definition of RFC 9162, section 2.1.1.
fn defined_root(leaves: &[TreeHash]) -> TreeHash {
    match leaves {
        [] => empty_root(),
        [one] => *one,
        more => {
            let half = more.len().next_power_of_two() / 2;
            node_hash(&defined_root(&more[..half]), &defined_root(&more[half..]))
        }
    }
}

#[test]
fn the_roots_are_those_of_certificate_transparency() {
    let leaves: Vec<_> = LEAVES.iter().map(|leaf| leaf_hash(&hex::decode(leaf).expect("hex"))).collect();
    assert_eq!(hex::encode(empty_root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (size, root) in (1..).zip(ROOTS) {
        assert_eq!(hex::encode(Nodes::of(&leaves[..size]).1.root()), root);
    }
    let nodes = Nodes::of(&leaves);
    // The paths of the reference tests: leaf 5 of 8, and from 6 to 8 leaves.
    let path = [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ];
    assert_eq!(inclusion(&nodes, 5, 8).expect("nodes"), path.map(hash));
    let path = [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ];
    assert_eq!(consistency(&nodes, 6, 8).expect("nodes"), path.map(hash));
}

#[test]
fn every_proof_of_a_small_tree_holds_and_no_other_does() {
    let leaves: Vec<_> = (0..40_u8).map(|number| leaf_hash(&[number])).collect();
    let nodes = Nodes::of(&leaves);
    let roots: Vec<_> = (0..=leaves.len()).map(|size| defined_root(&leaves[..size])).collect();
    for size in 0..=leaves.len() as u64 {
        let of_size = &roots[size as usize];
        assert_eq!(root(&nodes, size).expect("nodes"), *of_size);
        for leaf in 0..size {
            let (proof, hash) = (inclusion(&nodes, leaf, size).expect("nodes"), &leaves[leaf as usize]);
            assert!(verify_inclusion(hash, leaf, size, &proof, of_size), "{leaf} of {size}");
            assert!(!verify_inclusion(hash, leaf + 1, size, &proof, of_size), "{leaf} of {size} as the next");
            assert!(!verify_inclusion(&leaf_hash(b"?"), leaf, size, &proof, of_size), "another leaf {leaf} of {size}");
            let longer = [&proof[..], &[[0; 32]]].concat();
            assert!(!verify_inclusion(hash, leaf, size, &longer, of_size), "{leaf} of {size} with a longer proof");
            if !proof.is_empty() {
                assert!(!verify_inclusion(hash, leaf, size, &proof[1..], of_size), "{leaf} of {size}, shorter");
            }
        }
        for old in 0..=size {
            let (proof, of_old) = (consistency(&nodes, old, size).expect("nodes"), &roots[old as usize]);
            assert!(verify_consistency(old, size, &proof, of_old, of_size), "{old} to {size}");
            assert!(!verify_consistency(old, size, &proof, &[1; 32], of_size), "{old} to {size} from another tree");
            let to_other = verify_consistency(old, size, &proof, of_old, &[1; 32]);
            // Every tree starts with the empty one.
            assert_eq!(to_other, old == 0 && size > 0, "{old} to {size} to another tree");
        }
    }
}

#[test]
fn proofs_of_random_large_trees_hold() {
    let seed = 20_261_129;
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..20 {
        let leaves: Vec<_> =
            (0..random.random_range(1..3_000_u32)).map(|leaf| leaf_hash(&leaf.to_le_bytes())).collect();
        let nodes = Nodes::of(&leaves);
        for _ in 0..20 {
            let size = random.random_range(1..=leaves.len());
            let (leaf, old) = (random.random_range(0..size), random.random_range(0..=size));
            let (of_old, of_size) = (defined_root(&leaves[..old]), defined_root(&leaves[..size]));
            let mut proof = inclusion(&nodes, leaf as u64, size as u64).expect("nodes");
            assert!(verify_inclusion(&leaves[leaf], leaf as u64, size as u64, &proof, &of_size), "seed {seed}");
            if !proof.is_empty() {
                let at = random.random_range(0..proof.len());
                proof[at][random.random_range(0..32)] ^= 1 << (random.next_u32() % 8);
                assert!(!verify_inclusion(&leaves[leaf], leaf as u64, size as u64, &proof, &of_size), "seed {seed}");
            }
            let proof = consistency(&nodes, old as u64, size as u64).expect("nodes");
            assert!(verify_consistency(old as u64, size as u64, &proof, &of_old, &of_size), "seed {seed}");
        }
    }
}
