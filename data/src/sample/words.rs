//! What the made-up people are made of. Words of enumerations are those of the field table.

/// A welfare scheme: id, name, annual benefit in rupees (0: none in cash).
pub(super) type Scheme = (&'static str, &'static str, u32);

pub(super) const SCHEMES: [Scheme; 20] = [
    ("sch_ayushman_bharat", "Ayushman Bharat PM-JAY", 0),
    ("sch_apy", "Atal Pension Yojana", 12_000),
    ("sch_fasal_bima", "PM Fasal Bima Yojana", 8_000),
    ("sch_ignoaps", "Indira Gandhi National Old Age Pension", 2_400),
    ("sch_jan_dhan", "PM Jan Dhan Yojana", 0),
    ("sch_kaushal_vikas", "PM Kaushal Vikas Yojana", 8_000),
    ("sch_matru_vandana", "PM Matru Vandana Yojana", 5_000),
    ("sch_mgnrega", "MGNREGA", 24_000),
    ("sch_mudra", "PM Mudra Yojana", 0),
    ("sch_nsp_post_matric", "Post-Matric Scholarship", 13_500),
    ("sch_nsp_pre_matric", "Pre-Matric Scholarship", 7_000),
    ("sch_pm_kisan", "PM-KISAN", 6_000),
    ("sch_pmay_g", "PMAY-G", 0),
    ("sch_pmay_u", "PMAY-U", 0),
    ("sch_pmgkay", "PM Garib Kalyan Anna Yojana", 4_800),
    ("sch_stand_up_india", "Stand-Up India", 0),
    ("sch_sukanya", "Sukanya Samriddhi Yojana", 0),
    ("sch_svanidhi", "PM SVANidhi", 1_200),
    ("sch_ujjwala", "PM Ujjwala Yojana", 3_600),
    ("sch_vishwakarma", "PM Vishwakarma", 15_000),
];

pub(super) const RULES: [&str; 12] = [
    "rule_age_band",
    "rule_bpl",
    "rule_category",
    "rule_dependents",
    "rule_income_cap",
    "rule_land_holding",
    "rule_occupation",
    "rule_ration_card",
    "rule_residency",
    "rule_rural",
    "rule_urban",
    "rule_women",
];

pub(super) const STATUSES: [&str; 7] =
    ["not_applied", "applied", "under_review", "approved", "rejected", "active", "lapsed"];

/// A deadline: id without its year, type, description, where to act.
pub(super) type Deadline = (&'static str, &'static str, &'static str, &'static str);

pub(super) const DEADLINES: [Deadline; 8] = [
    ("dl_itr", "tax_filing", "ITR filing deadline", "/tax/file"),
    ("dl_advance_tax", "tax_payment", "Pay the next instalment of advance tax", "/tax/advance"),
    ("dl_ration", "renewal", "Renew ration card e-KYC", "/ration/renew"),
    ("dl_life_certificate", "certificate", "Submit the yearly life certificate", "/pension/life-certificate"),
    ("dl_scholarship", "application", "Apply for the scholarship of the coming year", "/scholarship/apply"),
    ("dl_crop_insurance", "enrolment", "Enrol for crop insurance before sowing", "/insurance/crop"),
    ("dl_pan_link", "linking", "Link documents to the bank account", "/documents/link"),
    ("dl_health_card", "renewal", "Renew the family's health card", "/health/renew"),
];

pub(super) const PRIORITIES: [&str; 4] = ["low", "medium", "high", "critical"];

pub(super) const EVENTS: [&str; 6] =
    ["child_school_admission", "crop_season_start", "job_change", "marriage", "relocation", "retirement"];

/// A recommended action and its reason.
pub(super) const ACTIONS: [(&str, &str); 5] = [
    ("apply_scheme", "high eligibility match, deadline near"),
    ("complete_profile", "a few fields would open more schemes"),
    ("renew_document", "a document expires soon"),
    ("file_return", "the filing deadline is near"),
    ("check_status", "the application has waited for long"),
];

pub(super) const TAGS: [&str; 12] = [
    "digital_first",
    "farm_household",
    "first_time_filer",
    "low_income_rural",
    "migrant_worker",
    "pensioner",
    "self_help_group",
    "small_business",
    "student_household",
    "tax_compliant",
    "urban_professional",
    "young_family",
];

pub(super) const GIVEN_NAMES: [&str; 24] = [
    "Aarav", "Aditi", "Ananya", "Arjun", "Asha", "Deepak", "Divya", "Farhan", "Geeta", "Harpreet", "Imran", "Joseph",
    "Kavita", "Lakshmi", "Manoj", "Meera", "Nisha", "Pooja", "Rajesh", "Ravi", "Sunita", "Suresh", "Vijay", "Zainab",
];

pub(super) const DOCUMENTS: [&str; 6] = ["aadhaar", "driving_licence", "pan", "passport", "ration_card", "voter_id"];
pub(super) const AGES: [&str; 5] = ["0-17", "18-29", "30-40", "41-59", "60+"];
pub(super) const GENDERS: [&str; 4] = ["male", "female", "other", "undisclosed"];
pub(super) const CATEGORIES: [&str; 5] = ["general", "obc", "sc", "st", "ews"];
pub(super) const SETTLEMENTS: [&str; 3] = ["urban", "rural", "semi_urban"];
pub(super) const INCOMES: [&str; 5] = ["0-2.5L", "2.5L-5L", "5L-10L", "10L-20L", "20L+"];
pub(super) const EMPLOYMENTS: [&str; 7] =
    ["salaried", "self_employed", "business", "agriculture", "pension", "unemployed", "student"];
pub(super) const TAX_REGIMES: [&str; 3] = ["old", "new", "none"];
pub(super) const RATION_CARDS: [&str; 5] = ["APL", "BPL", "AAY", "PHH", "none"];
pub(super) const MARITAL: [&str; 4] = ["single", "married", "widowed", "divorced"];
pub(super) const SHARING: [&str; 3] = ["minimal", "standard", "full"];
pub(super) const CONFIDENCES: [&str; 3] = ["low", "medium", "high"];
