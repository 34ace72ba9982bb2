import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { hostDashboard } from "./host.ts";
import { instanceDashboard } from "./instance.ts";
import { projectDashboard } from "./project.ts";

/** A dashboard and the file that it is written to. */
export interface DashboardFile {
  /** Path from the project's folder. */
  readonly path: string;
  readonly dashboard: Dashboard;
}

/** Grafana's dashboards, as contrib/grafana has them. */
export function dashboardFiles(): readonly DashboardFile[] {
  return [
    { path: "contrib/grafana/host.json", dashboard: hostDashboard() },
    { path: "contrib/grafana/project.json", dashboard: projectDashboard() },
    { path: "contrib/grafana/instance.json", dashboard: instanceDashboard() },
  ];
}
