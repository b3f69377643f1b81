//! Languages as BCP 47 names them: two letters where ISO 639-1 has them, otherwise three.

/// Words that only say that nothing is known, or that there is no code.
const UNKNOWN: [&str; 3] = ["und", "mis", "unk"];

/// The codes of ISO 639-2 that have one of ISO 639-1: `ger` and `deu` are both `de`.
const SHORT_CODES: &str = "aar:aa abk:ab afr:af aka:ak alb:sq amh:am ara:ar arg:an arm:hy asm:as ava:av ave:ae aym:ay aze:az \
    bak:ba bam:bm baq:eu bel:be ben:bn bih:bh bis:bi bod:bo bos:bs bre:br bul:bg bur:my cat:ca ces:cs cha:ch che:ce chi:zh \
    chu:cu chv:cv cor:kw cos:co cre:cr cym:cy cze:cs dan:da deu:de div:dv dut:nl dzo:dz ell:el eng:en epo:eo est:et eus:eu \
    ewe:ee fao:fo fas:fa fij:fj fin:fi fra:fr fre:fr fry:fy ful:ff geo:ka ger:de gla:gd gle:ga glg:gl glv:gv gre:el grn:gn \
    guj:gu hat:ht hau:ha heb:he her:hz hin:hi hmo:ho hrv:hr hun:hu hye:hy ibo:ig ice:is ido:io iii:ii iku:iu ile:ie ina:ia \
    ind:id ipk:ik isl:is ita:it jav:jv jpn:ja kal:kl kan:kn kas:ks kat:ka kau:kr kaz:kk khm:km kik:ki kin:rw kir:ky kom:kv \
    kon:kg kor:ko kua:kj kur:ku lao:lo lat:la lav:lv lim:li lin:ln lit:lt ltz:lb lub:lu lug:lg mac:mk mah:mh mal:ml mao:mi \
    mar:mr may:ms mkd:mk mlg:mg mlt:mt mon:mn mri:mi msa:ms mya:my nau:na nav:nv nbl:nr nde:nd ndo:ng nep:ne nld:nl nno:nn \
    nob:nb nor:no nya:ny oci:oc oji:oj ori:or orm:om oss:os pan:pa per:fa pli:pi pol:pl por:pt pus:ps que:qu roh:rm ron:ro \
    rum:ro run:rn rus:ru sag:sg san:sa sin:si slk:sk slo:sk slv:sl sme:se smo:sm sna:sn snd:sd som:so sot:st spa:es sqi:sq \
    srd:sc srp:sr ssw:ss sun:su swa:sw swe:sv tah:ty tam:ta tat:tt tel:te tgk:tg tgl:tl tha:th tib:bo tir:ti ton:to tsn:tn \
    tso:ts tuk:tk tur:tr twi:tw uig:ug ukr:uk urd:ur uzb:uz ven:ve vie:vi vol:vo wel:cy wln:wa wol:wo xho:xh yid:yi yor:yo \
    zha:za zho:zh zul:zu";

/// The code for what a container says; empty if it says nothing, or nothing that is a code. Of `en-US` only the language
/// is kept.
pub(super) fn normalised(told: &str) -> String {
    let code = told.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let is_code = matches!(code.len(), 2 | 3) && code.bytes().all(|b| b.is_ascii_lowercase());
    if !is_code || UNKNOWN.contains(&code.as_str()) {
        return String::new();
    }
    let mut codes = SHORT_CODES.split(' ').filter_map(|pair| pair.split_once(':'));
    match codes.find(|(long, short)| *long == code || *short == code) {
        Some((_, short)) => short.to_owned(),
        // Two letters that mean nothing are worse than none.
        None if code.len() == 2 => String::new(),
        None => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_codes_of_a_language_are_its_short_one() {
        for (told, expected) in [
            ("ger", "de"),
            ("deu", "de"),
            ("DE", "de"),
            ("en-US", "en"),
            ("fre", "fr"),
            ("zho", "zh"),
        ] {
            assert_eq!(normalised(told), expected);
        }
        assert_eq!(normalised("haw"), "haw", "Hawaiian has three letters only");
    }

    #[test]
    fn what_is_no_code_is_nothing() {
        for told in ["", "und", "xx", "english", "e", "e\"n", "dé", "\0\0\0", "12", "-"] {
            assert_eq!(normalised(told), "", "{told:?}");
        }
    }

    #[test]
    fn the_table_is_in_order() {
        let pairs: Vec<&str> = SHORT_CODES.split(' ').collect();
        assert!(pairs.is_sorted());
        assert!(
            pairs.iter().all(|pair| pair.len() == 6 && pair.as_bytes()[3] == b':'),
            "{pairs:?}"
        );
        assert_eq!(pairs.len(), 204);
    }
}
