import numpy as np, time, sys, csv, gzip
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo
from pathlib import Path
from ess_controller.planning.problem import *
from ess_controller.planning.calendar_grid import *
from ess_controller.planning.planner import *
from ess_controller.planning.value import decide, believe
from ess_controller.planning.perfect import perfect_powers
from ess_controller.site.tariff import load_tariff, price_at, kind_of_day
ROWS=list(csv.DictReader(gzip.open('shared/data/site/simbench_2016_15min_load_pv.csv.gz','rt')))
col=lambda n: np.array([float(r[n]) for r in ROWS])
SETS={'A':('G4-A',250,'PV1',200),'B':('G1-A',300,'PV1',200),'C':('G3-A',190,'PV1',200),'D':('G4-A',250,'PV3',200),
 'E':('G2-A',220,'PV5',150),'F':('G5-A',250,'PV8',150),'G':('G6-A',250,'PV5',200),'H':('G0-M',250,'PV8',200),'I':('G4-M',250,'PV5',100),'J':('G3-M',200,'PV8',250)}
TZ=ZoneInfo('Asia/Shanghai')
T=load_tariff(Path('sites/tariffs/shanghai.toml'),'under_1kv','commercial')
BAT=Battery(161e3,100e3,100e3,.95,.95,.1,.9,.5,None,'pv_surplus',0.0)
def make(name,month):
    l,ls,p,ps=SETS[name]
    load,pv=col(l+'_pload')*ls*1e3,col(p)*ps*1e3
    a=(datetime(2016,month,1)-datetime(2016,1,1)).days*96
    b=(datetime(2016+month//12,month%12+1,1)-datetime(2016,1,1)).days*96
    h=91*96
    if a<h:  # history from the end of the year, weekdays aligned (364 days back)
        take=np.arange(a-h,b)
        idx=np.where(take<0,take+364*96,take)
        load,pv=load[idx],pv[idx]
    else:
        load,pv=load[a-h:b],pv[a-h:b]
    begin=datetime(2016,month,1,tzinfo=TZ)-timedelta(days=91)
    return Series(begin,900.,load,pv), h
def prices_of(s):
    buy=np.array([price_at(T,s.at(i))[0] for i in range(len(s))])
    return Prices(buy,np.full(len(s),T.feed_in_cny_per_kwh),DemandCost((0.0,),(40.8,)),900.)
def bill(net,p,buy,sell,dc,bat,h=.25):
    g=net-p
    return float((buy*np.maximum(g,0)-sell*np.maximum(-g,0)+bat.wear_cny_per_kwh*np.maximum(p,0)).sum()*h/1e3), float(dc.cny(max(g.max(),0)))
def energy(p,e0,bat,h=.25):
    return e0-np.cumsum(np.where(p>0,p/bat.discharge_efficiency,p*bat.charge_efficiency))*h
def run(name,month,tuning,every=8,verbose=False):
    s,first=make(name,month); pr=prices_of(s); n=len(s)
    bat=BAT; refill=0.3/1e3; e0=bat.soc_start*bat.energy_wh
    d=days_of(s,200,lambda day: {'workday':0,'weekend':1,'holiday':2}[kind_of_day(T,day)])
    w=World(bat,pr,d,.25,s.load_w,s.pv_w,refill)
    net=s.net_w; buy,sell=pr.import_cny_per_kwh,pr.export_cny_per_kwh
    pl=Planner(w,tuning)
    e,peak=e0,0.0; P=np.zeros(n); ms=[]
    for i in range(first,n):
        if (i-first)%every==0:
            t=time.perf_counter(); v=pl.plan(i,peak); bel=None; ms.append(time.perf_counter()-t)
        bel=believe(v,i-v.origin,bel,net[i]); p=decide(v,i-v.origin,net[i],e,peak,bel); P[i]=p
        e-= (p/.95 if p>0 else p*.95)*.25
        peak=max(peak,net[i]-p)
    m=slice(first,n)
    def total(p): 
        a,b=bill(net[m],p,buy[m],sell[m],pr.demand,bat); return a,b,-refill*(energy(p,e0,bat)[-1]-e0)
    r={}
    r['none']=total(np.zeros(n-first)); r['ctl']=total(P[m])
    r['rule']=total(rule(net[m],buy[m],d,first,bat,e0))
    cut=s.cut(first,n)
    r['best']=total(perfect_powers(cut,Prices(buy[m],sell[m],pr.demand,900.),bat,e0,refill))
    c={k:sum(x) for k,x in r.items()}
    r['share']=(c['none']-c['ctl'])/(c['none']-c['best']); r['ruleshare']=(c['none']-c['rule'])/(c['none']-c['best']); r['bound']=c['none']-c['best']
    r['denergy']=r['ctl'][0]+r['ctl'][2]-r['best'][0]-r['best'][2]; r['ddem']=r['ctl'][1]-r['best'][1]; r['ms']=np.median(ms)*1e3; r['P']=P[m]; r['net']=net[m]
    return r
def rule(net,buy,d,first,bat,e0):
    n=len(net); p=np.zeros(n); e=e0; peak=0.0
    lo,hi=bat.soc_min*bat.energy_wh,bat.soc_max*bat.energy_wh
    for i in range(n):
        day=buy[(i//96)*96:(i//96)*96+96]; mean=day.mean(); x=net[i]
        top=min(100e3,(e-lo)*.95/.25); bot=-min(100e3,(hi-e)/.95/.25)
        if x<0: q=max(x,bot)
        elif buy[i]>1.2*mean: q=min(x,top)
        elif buy[i]<.8*mean: q=max(min(0,-(peak-x)) if peak>x else 0,bot)
        else: q=0
        if x-q>peak: q=min(max(q,x-peak),top) if x>0 else q
        p[i]=q; e-=(q/.95 if q>0 else q*.95)*.25; peak=max(peak,x-q)
    return p
if __name__=='__main__':
    sets=sys.argv[1]; months=[int(x) for x in sys.argv[2].split(',')]
    kw=eval('dict('+(sys.argv[3] if len(sys.argv)>3 else '')+')'); every=kw.pop('every',8)
    tot={}
    for name in sets:
        out=[];
        for mth in months:
            r=run(name,mth,Tuning(**kw),every); out.append(r)
            print(name,mth,f"share {r['share']*100:.1f} rule {r['ruleshare']*100:.1f} bound {r['bound']:.0f} dE {r['denergy']:.0f} dD {r['ddem']:.0f} ms {r['ms']:.1f}",flush=True)
        sv=sum(r['share']*r['bound'] for r in out); rv=sum(r['ruleshare']*r['bound'] for r in out); b=sum(r['bound'] for r in out)
        tot[name]=(sv,rv,b)
        print('==',name,f"{sv/b*100:.1f} rule {rv/b*100:.1f}",flush=True)
    print('POOLED',kw,[f"{sum(x[i] for x in tot.values())/sum(x[2] for x in tot.values())*100:.1f}" for i in (0,1)])
