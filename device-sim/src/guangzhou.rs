//! The default city: outlines and courses of Guangzhou, drawn coarsely by hand, WGS-84.

use crate::config::{District, River, Road};

/// Seven districts.
pub fn districts() -> Vec<District> {
    let district = |name: &str, label: &str, outline: &[[f64; 2]]| District {
        name: name.to_string(),
        label: label.to_string(),
        outline: outline.to_vec(),
    };
    vec![
        district(
            "yuexiu",
            "Yuexiu",
            &[[113.245, 23.115], [113.310, 23.112], [113.312, 23.160], [113.255, 23.152]],
        ),
        district(
            "liwan",
            "Liwan",
            &[[113.200, 23.055], [113.242, 23.060], [113.244, 23.140], [113.205, 23.130]],
        ),
        district(
            "haizhu",
            "Haizhu",
            &[[113.255, 23.065], [113.390, 23.070], [113.385, 23.103], [113.260, 23.105]],
        ),
        district(
            "tianhe",
            "Tianhe",
            &[[113.318, 23.118], [113.420, 23.110], [113.430, 23.190], [113.325, 23.185]],
        ),
        district(
            "baiyun",
            "Baiyun",
            &[[113.200, 23.165], [113.310, 23.170], [113.330, 23.300], [113.210, 23.290]],
        ),
        district(
            "huangpu",
            "Huangpu",
            &[[113.440, 23.080], [113.540, 23.085], [113.530, 23.190], [113.445, 23.185]],
        ),
        district(
            "panyu",
            "Panyu",
            &[[113.300, 22.900], [113.450, 22.910], [113.440, 23.035], [113.310, 23.030]],
        ),
    ]
}

/// Two arms of the Pearl River, downstream.
pub fn rivers() -> Vec<River> {
    let river = |name: &str, label: &str, course: &[[f64; 2]]| River {
        name: name.to_string(),
        label: label.to_string(),
        course: course.to_vec(),
    };
    vec![
        river(
            "front-channel",
            "Pearl River, front channel",
            &[[113.215, 23.130], [113.243, 23.108], [113.300, 23.111], [113.355, 23.106], [113.440, 23.083]],
        ),
        river(
            "back-channel",
            "Pearl River, rear channel",
            &[[113.235, 23.100], [113.240, 23.065], [113.290, 23.045], [113.360, 23.055], [113.440, 23.070]],
        ),
    ]
}

/// Six arterials, in the direction of travel.
pub fn roads() -> Vec<Road> {
    let road = |name: &str, label: &str, free_speed: f64, course: &[[f64; 2]]| Road {
        name: name.to_string(),
        label: label.to_string(),
        course: course.to_vec(),
        lanes: 3,
        free_speed,
    };
    vec![
        road(
            "zhongshan-avenue",
            "Zhongshan Avenue",
            50.0,
            &[[113.335, 23.134], [113.375, 23.128], [113.425, 23.117]],
        ),
        road(
            "huangpu-avenue",
            "Huangpu Avenue",
            55.0,
            &[[113.318, 23.125], [113.360, 23.119], [113.425, 23.103]],
        ),
        road(
            "guangzhou-avenue",
            "Guangzhou Avenue",
            50.0,
            &[[113.317, 23.165], [113.318, 23.120], [113.313, 23.075]],
        ),
        road(
            "dongfeng-road",
            "Dongfeng Road",
            45.0,
            &[[113.243, 23.138], [113.280, 23.136], [113.318, 23.134]],
        ),
        road(
            "jiefang-road",
            "Jiefang Road",
            45.0,
            &[[113.259, 23.178], [113.262, 23.140], [113.263, 23.112]],
        ),
        road(
            "xingang-road",
            "Xingang Road",
            50.0,
            &[[113.268, 23.096], [113.320, 23.095], [113.370, 23.101]],
        ),
    ]
}
