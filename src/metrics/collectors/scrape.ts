import { type Collector, INSTANCE } from "../family.ts";

/** What every scrape says about each instance, whatever is collected. */
export const scrape: Collector = {
  name: "scrape",
  description: "whether libvirt answered all that was asked about the instance",
  byDefault: undefined,
  groups: 0,
  families: [
    {
      name: "libvirt_nova_instance_scrape_success",
      type: "gauge",
      help: "Whether libvirt answered all that was asked about the instance",
      unit: "1 or 0",
      labelSet: INSTANCE,
      source: { completeness: true },
    },
  ],
};
