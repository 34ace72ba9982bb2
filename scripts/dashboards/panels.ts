/**
 * The few kinds of panels, variables and dashboards that the project's dashboards are made of, in the types of Grafana's
 * own library.
 *
 * @module
 */
import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import {
  BigValueColorMode,
  BigValueGraphMode,
  type DataSourceRef,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TableFooterOptionsBuilder,
  TableSortByFieldStateBuilder,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  MappingType,
  type Panel,
  QueryVariableBuilder,
  RowBuilder,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type VariableModel,
  VariableRefresh,
  VariableSort,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder, PromQueryFormat } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as TableBuilder } from "@grafana/grafana-foundation-sdk/table";
import { PanelBuilder as TimeSeriesBuilder } from "@grafana/grafana-foundation-sdk/timeseries";

/** What tells an instance from others, with its host. */
export const OWNER = "instance, libvirtname, novaname, novaproject";

/** What an instance is called in a legend. */
export const INSTANCE_LEGEND = "{{novaname}} ({{libvirtname}})";

/** What the labels that name an instance are called as columns of a table. */
export const INSTANCE_COLUMNS: Readonly<Record<string, string>> = {
  novaname: "Instance",
  libvirtname: "libvirt's name",
  novaproject: "Project",
  instance: "Host",
};

/** Where every panel gets its data: the Prometheus that is chosen on the dashboard. */
const SOURCE: DataSourceRef = { type: "prometheus", uid: "${datasource}" };

/** The tag by which the project's dashboards find each other. */
const TAG = "libvirt_nova";

/** The uid of the dashboard that shows one instance, to which lines of other dashboards lead. */
export const INSTANCE_UID = "libvirt-nova-instance";

/** Grafana's grid has 24 columns; the heights are in its rows. */
const [GRAPH_HEIGHT, STAT_HEIGHT, TABLE_HEIGHT] = [8, 4, 9];

/** A query and what its series are called in the legend; in a table, the title of its column. */
export interface Query {
  readonly expression: string;
  readonly legend: string;
  /** In a stacked graph: a line of its own, such as the whole that the others are parts of. */
  readonly apart?: boolean;
}

/** A panel before it is one. */
export interface PanelOptions {
  readonly title: string;
  /** What it shows, what it means, and which collector it needs if that is off by default. */
  readonly description: string;
  /** Grafana's id of the unit, such as `bytes`, `Bps`, `percentunit`, `s`. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Columns of 24. */
  readonly span: number;
  /** Values from which on it is orange, and red. */
  readonly limits?: readonly [warning: number, critical: number];
}

/** What a graph may have beyond. */
export interface GraphOptions extends PanelOptions {
  /** Whether series are laid on top of each other; only for parts of a whole. */
  readonly stacked?: boolean;
  /** Whether a click on a line leads to the instance; its series have the label `libvirtname`. */
  readonly ofInstances?: boolean;
  /** The upper end of the axis; that of the data when left out. */
  readonly maximum?: number;
}

/** What a figure may have beyond. */
export interface FigureOptions extends PanelOptions {
  /** Words for values. */
  readonly words?: Readonly<Record<string, { readonly text: string; readonly color: string }>>;
}

/** A table: one row for each set of labels, one column for each query. */
export interface TableOptions extends Omit<PanelOptions, "unit" | "limits"> {
  /** Units of the columns by their query's legend. */
  readonly units: Readonly<Record<string, string>>;
  /** Labels that are columns, with their titles; others are hidden. */
  readonly labels: Readonly<Record<string, string>>;
  /** Labels that the queries have and that are hidden. */
  readonly hidden?: readonly string[];
  /** Legend of the query by which it is sorted, greatest first. */
  readonly sortedBy?: string;
}

/** A row of panels under a heading. */
export interface Section {
  readonly title: string;
  readonly panels: readonly Builder<Panel>[];
}

/** A dashboard before it is one. */
export interface DashboardOptions {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly Builder<VariableModel>[];
  readonly sections: readonly Section[];
}

/** Letters of the queries of a panel. */
const LETTERS = "ABCDEFGHIJ";

function thresholds([warning, critical]: readonly [number, number]): ThresholdsConfigBuilder {
  const steps: Threshold[] = [
    { value: null, color: "green" },
    { value: warning, color: "orange" },
    { value: critical, color: "red" },
  ];
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps);
}

/** Leads to the dashboard of the instance whose line was clicked. */
function instanceLink(): DashboardLinkBuilder {
  return new DashboardLinkBuilder("Show this instance").url(
    `/d/${INSTANCE_UID}?var-datasource=\${datasource}` +
      "&var-libvirtname=${__field.labels.libvirtname}&${__url_time_range}",
  );
}

/** A graph over time. */
export function graph(options: GraphOptions): Builder<Panel> {
  const { title, description, unit, queries, span, limits, maximum } = options;
  const panel = new TimeSeriesBuilder()
    .title(title)
    .description(description)
    .datasource(SOURCE)
    .unit(unit)
    .min(0)
    .span(span)
    .height(GRAPH_HEIGHT)
    .lineWidth(1)
    .fillOpacity(options.stacked ? 60 : 10)
    .showPoints(VisibilityMode.Never)
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.Table)
        .placement(LegendPlacement.Bottom)
        .showLegend(true)
        .calcs(["lastNotNull", "max"]),
    )
    .tooltip(
      new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending),
    )
    .targets(queries.map(({ expression, legend }, index) =>
      new DataqueryBuilder()
        .datasource(SOURCE)
        .expr(expression)
        .legendFormat(legend)
        .range()
        .refId(LETTERS.charAt(index))
    ));
  if (options.stacked) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal));
  for (const { legend, apart } of queries) {
    if (apart) {
      panel.overrideByName(legend, [
        { id: "custom.stacking", value: { mode: "none" } },
        { id: "custom.fillOpacity", value: 0 },
      ]);
    }
  }
  if (limits !== undefined) {
    panel.thresholds(thresholds(limits)).thresholdsStyle(
      new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed),
    );
  }
  if (maximum !== undefined) panel.max(maximum);
  if (options.ofInstances) panel.dataLinks([instanceLink()]);
  return panel;
}

/** A single figure for each series, as of now. */
export function figure(options: FigureOptions): Builder<Panel> {
  const { title, description, unit, queries, span, limits, words } = options;
  const panel = new StatBuilder()
    .title(title)
    .description(description)
    .datasource(SOURCE)
    .unit(unit)
    .span(span)
    .height(STAT_HEIGHT)
    .graphMode(BigValueGraphMode.None)
    .colorMode(
      limits === undefined && words === undefined
        ? BigValueColorMode.None
        : BigValueColorMode.Value,
    )
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(["lastNotNull"]))
    .targets(queries.map(({ expression, legend }, index) =>
      new DataqueryBuilder()
        .datasource(SOURCE)
        .expr(expression)
        .legendFormat(legend)
        .instant()
        .refId(LETTERS.charAt(index))
    ));
  if (limits !== undefined) panel.thresholds(thresholds(limits));
  if (words !== undefined) {
    panel.mappings([{
      type: MappingType.ValueToText,
      options: Object.fromEntries(
        Object.entries(words).map(([value, word], index) => [value, { ...word, index }]),
      ),
    }]);
  }
  return panel;
}

/** A table of the present. */
export function table(options: TableOptions): Builder<Panel> {
  const { title, description, queries, span, units, labels, hidden = [], sortedBy } = options;
  const isSingle = queries.length === 1;
  /** What Grafana calls a query's values before they are renamed. */
  const column = (index: number): string => isSingle ? "Value" : `Value #${LETTERS.charAt(index)}`;
  const titles = Object.fromEntries(queries.map(({ legend }, index) => [column(index), legend]));
  const panel = new TableBuilder()
    .title(title)
    .description(description)
    .datasource(SOURCE)
    .span(span)
    .height(TABLE_HEIGHT)
    .filterable(true)
    .footer(new TableFooterOptionsBuilder().show(false))
    .targets(queries.map(({ expression, legend }, index) =>
      new DataqueryBuilder()
        .datasource(SOURCE)
        .expr(expression)
        .legendFormat(legend)
        .format(PromQueryFormat.Table)
        .instant()
        .refId(LETTERS.charAt(index))
    ))
    .withTransformation({ id: "merge", options: {} })
    .withTransformation({
      id: "organize",
      options: {
        excludeByName: Object.fromEntries(
          ["Time", "__name__", "job", ...hidden].map((name) => [name, true]),
        ),
        indexByName: Object.fromEntries(
          [...Object.keys(labels), ...Object.keys(titles)].map((name, index) => [name, index]),
        ),
        renameByName: { ...labels, ...titles },
      },
    });
  for (const [legend, unit] of Object.entries(units)) {
    panel.overrideByName(legend, [{ id: "unit", value: unit }]);
  }
  if (sortedBy !== undefined) {
    panel.sortBy([new TableSortByFieldStateBuilder().displayName(sortedBy).desc(true)]);
  }
  return panel;
}

/** The variable by which a Prometheus is chosen. */
export function sourceVariable(): Builder<VariableModel> {
  return new DatasourceVariableBuilder("datasource").label("Prometheus").type("prometheus");
}

/** The values of a label, of which one, several, or several with the choice of all may be chosen. */
export interface LabelChoice {
  readonly series: string;
  readonly label: string;
  readonly choice: "one" | "several" | "all";
}

/** A variable with the values that a label has. */
export function labelVariable(
  name: string,
  title: string,
  { series, label, choice }: LabelChoice,
): Builder<VariableModel> {
  const text = `label_values(${series}, ${label})`;
  const variable = new QueryVariableBuilder(name)
    .label(title)
    .datasource(SOURCE)
    .query({ query: text, refId: "StandardVariableQuery" })
    .definition(text)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.NaturalAsc)
    .multi(choice !== "one")
    .includeAll(choice === "all");
  return choice === "all"
    ? variable.allValue(".*").current({ selected: true, text: "All", value: "$__all" })
    : variable;
}

/** A dashboard with its rows, and links to the others. */
export function dashboard(options: DashboardOptions): Dashboard {
  const builder = new DashboardBuilder(options.title)
    .uid(options.uid)
    .description(options.description)
    .tags([TAG])
    .timezone("browser")
    .refresh("1m")
    .time({ from: "now-3h", to: "now" })
    .tooltip(DashboardCursorSync.Crosshair)
    .variables([...options.variables])
    .link(
      new DashboardLinkBuilder("libvirt_nova")
        .type(DashboardLinkType.Dashboards)
        .tags([TAG])
        .asDropdown(true)
        .keepTime(true)
        .includeVars(true),
    );
  for (const { title, panels } of options.sections) {
    builder.withRow(new RowBuilder(title));
    for (const panel of panels) builder.withPanel(panel);
  }
  const built = builder.build();
  // Links to a single panel need ids that stay.
  return {
    ...built,
    panels: (built.panels ?? []).map((panel, index) => ({ ...panel, id: index + 1 })),
  };
}
