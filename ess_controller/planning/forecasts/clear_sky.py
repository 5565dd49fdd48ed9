"""What a site's solar modules would give under a clear sky: the sun's geometry, by pvlib, for the planner alone."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.util import find_spec

import numpy as np

from ess_controller.site.records import Location, PvArray
from firmware_bridge.records import Floats

# A system's usual losses beside temperature, and its inverter's: PVWatts (Dobos 2014, NREL/TP-6A20-62641, tables 2, 5)
SYSTEM_SHARE, INVERTER_SHARE = 0.86, 0.96
STANDARD_W_M2 = 1000.0  # that modules are rated at
LONGEST_S = 180.0  # of the child
NO_PVLIB = "pvlib is not installed (extra `sun`): what the sun can give is learnt from what was measured alone"


@dataclass(frozen=True, slots=True, eq=False)
class ClearSky:
    """Both [step], 0 at night."""

    pv_w: Floats  # of all inverters together, AC
    horizontal_w_m2: Floats  # global irradiance on the ground


def is_installed() -> bool:
    """Whether pvlib is there; it is not imported to see."""
    return find_spec("pvlib") is not None


def clear_sky_of(
    place: Location, arrays: Sequence[Sequence[PvArray]], rated_w: Sequence[float], middle_s: Floats
) -> ClearSky:
    """At those moments (seconds since the epoch), from each inverter's arrays [pv] and AC name plate [pv].

    Irradiance by Ineichen & Perez (2002) with the monthly Linke turbidity that pvlib ships, on the plane with the
    isotropic sky of Liu & Jordan (1963). ImportError without pvlib.
    """
    import pandas as pd  # noqa: PLC0415  half a second and 150 MB that only this needs
    from pvlib import irradiance, location  # noqa: PLC0415

    times = pd.to_datetime(middle_s, unit="s", utc=True)
    where = location.Location(place.latitude, place.longitude, "UTC", place.altitude_m)
    sun = where.get_solarposition(times)
    clear = where.get_clearsky(times, model="ineichen", solar_position=sun)
    total_w = np.zeros(len(middle_s))
    for planes, most_w in zip(arrays, rated_w, strict=True):
        dc_w = np.zeros(len(middle_s))
        for plane in planes:
            on_plane = irradiance.get_total_irradiance(
                plane.tilt_deg, plane.azimuth_deg, sun["apparent_zenith"], sun["azimuth"], clear["dni"], clear["ghi"],
                clear["dhi"], model="isotropic",
            )  # fmt: skip
            dc_w += 1000.0 * plane.kwp * np.nan_to_num(on_plane["poa_global"].to_numpy()) / STANDARD_W_M2
        total_w += np.minimum(dc_w * SYSTEM_SHARE * INVERTER_SHARE, most_w)
    return ClearSky(total_w, np.nan_to_num(clear["ghi"].to_numpy()))


@lru_cache(maxsize=2)
def clear_sky_apart(
    place: Location, arrays: tuple[tuple[PvArray, ...], ...], rated_w: tuple[float, ...], times_s: tuple[float, ...]
) -> ClearSky:
    """The same from a child process, whose 150 MB go with it. OSError where it fails. The last answers are kept."""
    asked = {
        "place": asdict(place),
        "arrays": [[asdict(each) for each in planes] for planes in arrays],
        "rated_w": list(rated_w),
        "middle_s": list(times_s),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ess_controller.planning.forecasts.clear_sky"],
            input=json.dumps(asked).encode(),
            capture_output=True,
            timeout=LONGEST_S,
            check=True,
        )
    except subprocess.SubprocessError as trouble:
        raise OSError(f"the clear sky is not known: {trouble}") from None
    rows = np.frombuffer(done.stdout, "<f8").reshape(2, -1)
    return ClearSky(rows[0], rows[1])


def main() -> None:
    """The child: JSON in, two rows of float64 out."""
    asked = json.load(sys.stdin)
    arrays = [[PvArray(**each) for each in planes] for planes in asked["arrays"]]
    found = clear_sky_of(Location(**asked["place"]), arrays, asked["rated_w"], np.array(asked["middle_s"]))
    sys.stdout.buffer.write(np.stack((found.pv_w, found.horizontal_w_m2)).astype("<f8").tobytes())


if __name__ == "__main__":
    main()
