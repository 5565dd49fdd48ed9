"""Where the planner's weather comes from: a file, or Open-Meteo, kept in the home folder for when the network is away.

Whatever goes wrong is told once, by name, and the plan goes on with what is kept while that is young, then without.
"""

import http.client
import json
import logging
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime
from pathlib import Path
from threading import Thread

from ess_controller.errors import BadInputError
from ess_controller.kept import whole_file
from ess_controller.planning.forecasts.weather import Weather
from ess_controller.planning.forecasts.weather_file import HOURLY, of_file, of_open_meteo, opened, packed
from ess_controller.site import Site

log = logging.getLogger("ess")

FILE = "weather.json"
TIMEOUT_S = 10.0  # of each word with the server
WAIT_S = 3.0  # a plan waits no longer for an answer; one that comes later serves the next
RETRY_S = 900.0
LARGEST = 4_000_000  # bytes
PAST_DAYS, AHEAD_DAYS = 35, 3  # asked for: the past teaches what forecasts here are worth


class WeatherFeed:
    """Asked with each plan; the same Weather object again until there is a newer one."""

    def __init__(self, site: Site, home: Path, *, may_ask: bool = True) -> None:
        """`site` may have no weather or no place: then there is none. `may_ask`: else only what is kept is used."""
        self._site, self._home, self._may_ask = site, home, may_ask
        self._held: Weather | None = None
        self._opened = False
        self._asking: Thread | None = None
        self._answer: Weather | str | None = None  # or what is wrong
        self._tried_s = -float("inf")
        self._trouble = self._told = ""

    def __call__(self, utc: datetime) -> Weather | None:
        """What is known now; None: nothing that is young enough."""
        settings, place = self._site.weather, self._site.location
        if settings is None or place is None:
            return None
        now_s = utc.timestamp()
        if settings.is_url:
            self._open()
            if self._may_ask:
                self._take()  # what came too late for the plan before
                self._ask(now_s)
                self._take()
        else:
            self._read(now_s)
        weather = self._held
        if weather is not None:
            age_h = (now_s - weather.made_s) / 3600.0
            if not -1.0 <= age_h <= settings.oldest_h and settings.is_url:
                self._trouble = self._trouble or f"the kept one is {age_h:.1f} h old"
                weather = None
            elif weather.end_s <= now_s:
                self._trouble, weather = self._trouble or "it ends before now", None
        self._tell(weather)
        return weather

    def answered(self, within_s: float) -> bool:
        """Wait for a question that is under way; whether it is over."""
        if self._asking is not None:
            self._asking.join(within_s)
        return self._asking is None or not self._asking.is_alive()

    def _open(self) -> None:
        """What an earlier planner kept."""
        if self._opened:
            return
        self._opened = True
        try:
            self._held = opened((self._home / FILE).read_text())
            self._tried_s = self._held.made_s
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as trouble:
            log.warning("weather: %s: %s: begun anew", self._home / FILE, trouble)

    def _ask(self, now_s: float) -> None:
        settings = self._site.weather
        assert settings is not None
        every_s = min(RETRY_S, 3600.0 * settings.every_h) if self._trouble else 3600.0 * settings.every_h
        if not self.answered(0.0) or 0.0 <= now_s - self._tried_s < every_s:
            return
        self._tried_s = now_s
        self._asking = Thread(target=self._fetch, args=(now_s,), name="weather", daemon=True)
        self._asking.start()
        if not self.answered(WAIT_S):
            self._trouble = f"no answer within {WAIT_S:g} s"

    def _fetch(self, now_s: float) -> None:
        """In a thread of its own: whatever it finds lies in `_answer`."""
        place, settings = self._site.location, self._site.weather
        assert place is not None
        assert settings is not None
        query = {
            "latitude": f"{place.latitude:g}",
            "longitude": f"{place.longitude:g}",
            "hourly": ",".join(HOURLY),
            "past_days": str(PAST_DAYS),
            "forecast_days": str(AHEAD_DAYS),
            "timeformat": "unixtime",
            "timezone": "GMT",
        }
        try:
            body = _body(f"{settings.source}?{urllib.parse.urlencode(query)}")
            found = of_open_meteo(json.loads(body), place, now_s)
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as trouble:
            self._answer = " ".join(str(trouble).split())[:200] or repr(trouble)
        else:
            self._answer = found

    def _take(self) -> None:
        """What a thread has found since."""
        answer, self._answer = self._answer, None
        if answer is None:
            return
        if isinstance(answer, str):
            self._trouble = answer
            return
        self._held, self._trouble = answer.after(self._held), ""
        try:
            whole_file.put(self._home / FILE, packed(self._held).encode())
        except OSError as trouble:
            log.warning("weather: not kept: %s", trouble)

    def _read(self, now_s: float) -> None:
        settings, place = self._site.weather, self._site.location
        assert settings is not None
        assert place is not None
        path = self._site.folder / settings.source
        try:
            changed_s = path.stat().st_mtime
            if self._held is None or changed_s != self._tried_s:
                self._held, self._tried_s = of_file(path, place, now_s).after(self._held), changed_s
            self._trouble = ""
        except (OSError, BadInputError) as trouble:
            self._trouble = str(trouble)

    def _tell(self, weather: Weather | None) -> None:
        trouble = self._trouble
        if trouble and trouble != self._told:
            goes_on = "with the one before" if weather is not None else "without"
            log.warning("weather forecast: %s: planning goes on %s", trouble, goes_on)
        elif self._told and not trouble:
            log.info("weather forecasts are there again")
        self._told = trouble


def _body(url: str) -> bytes:
    """Raises OSError (also of HTTP status codes) and ValueError."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # an operator's URL, checked to be http(s)
            body: bytes = answer.read(LARGEST + 1)
    except urllib.error.HTTPError as refused:
        if refused.code != http.client.BAD_REQUEST:
            raise
        body = refused.read(LARGEST)  # says why
    if len(body) > LARGEST:
        raise ValueError(f"more than {LARGEST} bytes")
    return body
