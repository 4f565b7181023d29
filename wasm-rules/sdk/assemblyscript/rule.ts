// SPDX-License-Identifier: Apache-2.0

// An example to change: it shows the warm hero in the evening and the summer one
// by day. Setting "evening" is the hour at which the evening begins; visitors
// from the country of setting "sunny" always see summer.
import {
  DEVICE_TYPE, GEO_COUNTRY, NO_ANSWER, TIME_HOUR, answer, because, count, equals, has, int, keptSettings, put, putInt,
  putText, same, setting, settingNumber, text,
} from "./near";

export { near_in, near_out, near_settings } from "./near";

const WINTER_PHONE = 1, WINTER_DESKTOP = 2, SUMMER_PHONE = 3, SUMMER_DESKTOP = 4;

const MORNING = 6;

export function near_decide(slot: i32): i64 {
  if (!has(TIME_HOUR)) return NO_ANSWER; // not known or not granted
  const hour = int(TIME_HOUR, 0), country = text(GEO_COUNTRY), phone = equals(text(DEVICE_TYPE), "phone");

  const evening = <i64>settingNumber(keptSettings(), "evening", 18);
  const sunny = count(country) > 0 && same(country, setting(keptSettings(), "sunny"));
  const winter = (hour >= evening || hour < MORNING) && !sunny;

  because();
  put("It is ");
  putInt(hour);
  put(" o'clock");
  if (count(country) > 0) {
    put(" in ");
    putText(country);
  }
  if (winter) return answer(phone ? WINTER_PHONE : WINTER_DESKTOP, 200);
  return answer(phone ? SUMMER_PHONE : SUMMER_DESKTOP, 200);
}
